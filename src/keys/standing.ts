import type { JsonObject } from '../lib/strict-json.ts';
import type { SigningKey } from './keys.ts';
import { maxKeys, noticedMs, tokenMs } from './rotation-times.ts';

/** What the log says of one of our keys: when it was announced, or that it ended. */
export interface KeyFact {
  readonly kid: string;
  readonly jwk: JsonObject;
  readonly state: 'begin' | 'end';
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** What one process has seen of keys itself; the log does not say who signed when. Milliseconds since the epoch. */
export interface Sightings {
  /** Last time it would have signed with the key. */
  readonly used: ReadonlyMap<string, number>;
  /** First time it found the key neither signing nor about to. */
  readonly idle: ReadonlyMap<string, number>;
}

export interface When {
  readonly now: number;
  /** How long a key is published before it signs, milliseconds. */
  readonly announceMs: number;
}

export interface PublishedKey {
  readonly kid: string;
  readonly jwk: JsonObject;
}

/** Where the keys stand at one moment. */
export interface Standing {
  /** Per algorithm the one that signs, in the config's order. */
  readonly signing: readonly SigningKey[];
  /** At most four: who signs, who will, and whose last token may live. */
  readonly published: readonly PublishedKey[];
  /** To be written into the log. */
  readonly begin: readonly PublishedKey[];
  readonly end: readonly PublishedKey[];
  /** Published, and neither signing nor about to. */
  readonly idle: readonly string[];
  /** Keys that ended: held, perhaps, and signing no more. */
  readonly ended: ReadonlySet<string>;
  /** A next key waits because four are published. */
  readonly full: boolean;
}

/** A key that another process may hold and this one does not ends only after this; milliseconds. */
const strangerMs = 24 * 60 * 60_000;

interface Begun extends PublishedKey {
  readonly at: number;
}

/**
 * Decides from the keys at hand (newest first), the log's facts and the clock: every process that knows the same decides
 * the same. A next key is announced before it signs; one that nothing else can stand in for signs at once; one that was
 * replaced stays published until its last token died; one that ended does not come back.
 */
export function standing(
  held: readonly SigningKey[],
  facts: readonly KeyFact[],
  seen: Sightings,
  when: When,
): Standing {
  const { begun, ended } = fold(facts);
  const groups = groupsOf(held, ended).map((keys) => {
    const current = currentOf(keys, begun, when);
    return { keys, current, next: keys[0] === current ? undefined : keys[0] };
  });
  const signing = groups.map(({ current }) => current);
  const known = new Map<string, PublishedKey>(signing.map((key) => [key.kid, shown(key)]));
  const newestFirst = [...begun.values()].sort((a, b) => b.at - a.at);
  for (const key of newestFirst) if (known.size < maxKeys && !known.has(key.kid)) known.set(key.kid, key);

  const begin = signing.filter(({ kid }) => !begun.has(kid) && !ended.has(kid)).map(shown);
  const waiting = groups.flatMap(({ next }) => (next === undefined || begun.has(next.kid) ? [] : [shown(next)]));
  const room = maxKeys - new Set([...known.keys(), ...begun.keys()]).size;
  const announced = waiting.slice(0, Math.max(0, room));

  const active = new Set(groups.flatMap(({ current, next }) => [current.kid, next?.kid ?? current.kid]));
  const idle = newestFirst.filter(({ kid }) => !active.has(kid));
  const currents = new Map(groups.map(({ current }) => [current.alg as string, begun.get(current.kid)]));
  const isHeld = (kid: string) => held.some((key) => key.kid === kid);
  const end = idle.filter((key) => {
    const at = endOf(key, currents.get(String(key.jwk.alg)), isHeld(key.kid), seen, when);
    return when.now >= at;
  });
  return {
    signing,
    published: [...known.values()],
    begin: [...begin, ...announced],
    end,
    idle: idle.map(({ kid }) => kid),
    ended,
    full: announced.length < waiting.length,
  };
}

function fold(facts: readonly KeyFact[]): { begun: ReadonlyMap<string, Begun>; ended: ReadonlySet<string> } {
  const begun = new Map<string, Begun>();
  const ended = new Set<string>();
  for (const { kid, jwk, state, at } of facts) {
    if (state === 'end') {
      begun.delete(kid);
      ended.add(kid);
    } else if (!begun.has(kid) && !ended.has(kid)) begun.set(kid, { kid, jwk, at });
  }
  return { begun, ended };
}

/** The keys at hand by algorithm; those that ended only where there is no other. */
function groupsOf(held: readonly SigningKey[], ended: ReadonlySet<string>): readonly (readonly SigningKey[])[] {
  return [...new Set(held.map(({ alg }) => alg))].map((alg) => {
    const all = held.filter((key) => key.alg === alg);
    const alive = all.filter(({ kid }) => !ended.has(kid));
    return alive.length > 0 ? alive : all.slice(0, 1);
  });
}

/** The newest that was announced long enough; else the one announced first; else, none being announced, the oldest. */
function currentOf(
  keys: readonly SigningKey[],
  begun: ReadonlyMap<string, Begun>,
  { now, announceMs }: When,
): SigningKey {
  const ripe = keys.find(({ kid }) => now - (begun.get(kid)?.at ?? Number.POSITIVE_INFINITY) >= announceMs);
  if (ripe !== undefined) return ripe;
  const oldestFirst = keys.toReversed();
  const first = oldestFirst
    .filter(({ kid }) => begun.has(kid))
    .sort((a, b) => (begun.get(a.kid)?.at ?? 0) - (begun.get(b.kid)?.at ?? 0))[0];
  return first ?? (oldestFirst[0] as SigningKey);
}

/** When the last token of a key that signs no more has died. */
function endOf(key: Begun, current: Begun | undefined, held: boolean, seen: Sightings, when: When): number {
  const { now, announceMs } = when;
  const idleSince = seen.idle.get(key.kid) ?? now;
  let unused: number;
  // The usual way: whoever follows it signs everywhere as soon as its own announcement is old enough.
  if (current !== undefined && current.at >= key.at) unused = current.at + announceMs;
  else unused = held ? idleSince : idleSince + strangerMs;
  const lastUse = Math.max(unused, seen.used.get(key.kid) ?? Number.NEGATIVE_INFINITY);
  return lastUse + tokenMs + Math.max(0, noticedMs - announceMs);
}

const shown = ({ kid, publicJwk }: SigningKey): PublishedKey => ({ kid, jwk: publicJwk });
