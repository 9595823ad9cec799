import { isInObject } from '../config/parts/key-place.ts';
import { readFor, UnreadKey } from '../config/parts/key-refs.ts';
import { neededAlgorithms } from '../config/parts/key-ring.ts';
import type { SigningAlgorithm } from '../keys/keys.ts';
import { isKmsFault } from '../keys/kms-fault.ts';
import { openSigners, type SignerEntry } from '../keys/ring.ts';
import { maxKeys, noticedMs, tokenMs } from '../keys/rotation-times.ts';
import type { SignerDeps, SignerKey } from '../keys/signer.ts';
import { type Deadline, deadlineIn } from '../lib/deadline.ts';
import { readKeyBytes } from '../lib/key-bytes.ts';
import type { Runtime } from '../lib/platform.ts';
import type { Ref } from '../lib/ref.ts';
import { Refusal } from '../lib/refusal.ts';
import { instant } from '../lib/time.ts';
import { openStores } from '../stores/open.ts';
import type { ConfigFile } from './config-file.ts';
import { exit, Failure } from './failure.ts';
import { nodePlatform } from './node-platform.ts';
import { shown, type Terminal, withProgress } from './terminal.ts';

/** A key that was made. The times are about those of a server that runs now. */
export interface RotatedKey {
  /** The signer's kind. */
  readonly signer: string;
  readonly kid: string;
  readonly alg: string;
  readonly signsAt: string;
  /** When the key before it is gone from the JWKS. */
  readonly oldEndsAt: string;
}

type Made = Pick<RotatedKey, 'signer' | 'kid' | 'alg'>;
type Opened = Awaited<ReturnType<typeof openSigners>>[number];

const rotateMs = 30_000;

/** Makes the next key of each signer that makes its own. @throws Failure, KeyError, UnreadKey */
export async function rotateKeys(
  { config, folder }: ConfigFile,
  runtime: Runtime,
  terminal: Terminal,
): Promise<readonly RotatedKey[]> {
  const { broker, ledger, stores, limits } = config;
  if (broker.signer.length === 0) throw new Failure(exit.negative, 'this config has no signer');
  requireInputs(broker.secret !== undefined, ledger.kind === 'http' || ledger.seed !== undefined);
  if (broker.signer.some(isInObject)) throw ownHands('keys that a Durable Object keeps are not rotated from outside');
  const platform = { ...nodePlatform(terminal, folder), log: () => {} };
  // What was just written is read again.
  const uncached = Object.entries(stores).map(([name, entry]) => [name, { ...entry, cache: '0' }]);
  const opened = openStores(Object.fromEntries(uncached), { ...platform, storeMs: limits.storeMs });
  const deps: SignerDeps = {
    ...platform,
    read: opened.read,
    announceMs: broker.announceMs,
    async write({ store, name }, value, deadline) {
      await (await opened.open(store)).put(name, value, deadline);
    },
  };
  const until = deadlineIn(rotateMs, platform.now);
  if (ledger.seed !== undefined) {
    const read = readFor('ledger.seed', opened.read, stores);
    await readKeyBytes(read, ledger.seed as Ref, 'ledger.seed', until).catch((error) => {
      // No server would start without it and announce anything; but what another platform has may not be here.
      if (runtime === 'node' || !(error instanceof UnreadKey)) throw error;
    });
  }
  const signers = await openSigners(broker.signer, deps);
  const made: Made[] = [];
  try {
    const work = rotateAll(signers, neededAlgorithms(config), deps, { until, made });
    await withProgress(terminal, 'making the next key', work);
    const signsAt = platform.now() + broker.announceMs;
    const oldEndsAt = signsAt + tokenMs + Math.max(0, noticedMs - broker.announceMs);
    return made.map((key) => ({ ...key, signsAt: instant(signsAt), oldEndsAt: instant(oldEndsAt) }));
  } catch (error) {
    if (made.length > 0)
      terminal.err(`${describeMade(made)}servers that run announce it all the same; then it failed:\n`);
    if (!isKmsFault(error)) throw error;
    const { step, error: said } = error.options.facts ?? {};
    const words = [error.reason, step, said].filter((word) => word !== undefined).join(' ');
    const code = error.reason === 'kms_denied' ? exit.refused : exit.unreachable;
    const hint = 'a call that got no answer may have made one all the same: look before you try again';
    throw new Failure(code, `the KMS made no key (${shown(words)})`, hint);
  }
}

/** Adds each key to `made` as soon as it is there: what fails later undoes none. */
async function rotateAll(
  signers: readonly Opened[],
  needs: readonly SigningAlgorithm[],
  deps: SignerDeps,
  { until, made }: { readonly until: Deadline; readonly made: Made[] },
): Promise<void> {
  const able = signers.filter(({ signer }) => signer.rotate !== undefined);
  if (able.length === 0) throw ownHands('no signer of this config makes its next key itself');
  const before = new Map<Opened, readonly SignerKey[]>();
  for (const one of signers) before.set(one, await keysOf(one, until));
  const there = [...before.values()].flat();
  const missing = needs.filter((alg) => !there.some((key) => key.alg === alg));
  // As at a start: the first signer that makes keys makes what no other has.
  const maker = missing.length === 0 ? undefined : able.find(({ entry }) => !isDirect(entry));
  const more = maker === undefined ? 0 : 2 * missing.length;
  const after = [...before].reduce((sum, [one, keys]) => sum + countAfter(one, keys), more);
  if (after > maxKeys) {
    const hint = 'disable those whose last token died: the operator’s log said key_ended';
    throw new Failure(exit.negative, `there would be ${after} keys, and ${maxKeys} are published at most`, hint);
  }
  for (const one of able) {
    const known = (before.get(one) ?? []).map(({ kid }) => kid);
    const [opened = one] = one === maker ? await openSigners(one.entry, { ...deps, needs: missing }) : [];
    await opened.signer.rotate?.(until);
    const fresh = (await opened.signer.keys(until)).filter(({ kid }) => !known.includes(kid));
    made.push(...fresh.map(({ kid, alg }) => ({ signer: one.entry.kind, kid, alg })));
  }
}

/** None where the store has nothing under that name yet: then the first ones are made. */
async function keysOf({ signer }: Opened, until: Deadline): Promise<readonly SignerKey[]> {
  return signer.keys(until).catch((error) => {
    if (error instanceof Refusal && error.reason === 'absent') return [];
    throw error;
  });
}

/** A KMS that signs keeps its older versions; what Hallpass makes itself is two of each algorithm at most. */
function countAfter({ entry, signer }: Opened, keys: readonly SignerKey[]): number {
  if (signer.rotate === undefined) return keys.length;
  return isDirect(entry) ? Math.min(maxKeys, keys.length + 1) : 2 * new Set(keys.map(({ alg }) => alg)).size;
}

const isDirect = (entry: SignerEntry): boolean =>
  entry.kind !== 'local' && !('wrapped' in entry && entry.wrapped !== undefined);

// All else that comes from the signer's key would change with it.
function requireInputs(hasSecret: boolean, hasSeed: boolean): void {
  const missing = [...(hasSeed ? [] : ['ledger.seed']), ...(hasSecret ? [] : ['broker.secret'])];
  if (missing.length === 0) return;
  const message = `${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} required before the signer’s key is rotated`;
  const hint = 'a REF to 32 bytes each; docs/keys.md says how to keep what a key of yours gave until now';
  throw new Failure(exit.negative, message, hint);
}

const ownHands = (message: string): Failure =>
  new Failure(
    exit.negative,
    message,
    'make a key where yours is kept, put it first in the list of broker.signer and keep the old one second until its end is in the operator’s log (key_ended)',
  );

/** For people. */
export function describeRotation(made: readonly RotatedKey[]): string {
  const [first] = made;
  if (first === undefined) return 'the KMS is still making the next key; servers that run find it by themselves\n';
  return `${describeMade(made)}servers that run announce it by themselves; it signs from about ${first.signsAt}, and the old key is gone from about ${first.oldEndsAt}\n`;
}

const describeMade = (made: readonly Made[]): string =>
  made.map(({ signer, alg, kid }) => `${signer}: made ${alg} ${kid}\n`).join('');
