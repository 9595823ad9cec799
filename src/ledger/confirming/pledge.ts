import type { Deadline } from '../../lib/deadline.ts';
import { isJsonObject } from '../../lib/strict-json.ts';
import type { Pledge } from '../following.ts';
import type { Texts } from '../ledger.ts';
import { unavailable } from '../unavailable.ts';

/** What a standby keeps of it, durable before it asks again. */
export interface Relied {
  readonly instance: string;
  readonly serial: number;
  readonly state: Pledge['state'];
  readonly generation: number;
  /** It takes over, or has: nothing is followed or confirmed any more. */
  readonly taken?: 'itself' | 'told';
  /** A process has no answer from the first, and asks the others here; whoever has one takes this away. */
  readonly doubt?: string;
}

/** How long a standby's question may wait for its answer, milliseconds. */
export const longestPollMs = 1_000;

/** Under which name each side keeps its text. */
export const pledgeName = 'pledge';
export const reliedName = 'relied';

const states: ReadonlySet<unknown> = new Set<Pledge['state']>(['entering', 'on', 'off', 'over', 'replaced']);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** A promise that has come over; undefined where it is none. */
export function pledgeOf(value: unknown): Pledge | undefined {
  if (!isJsonObject(value)) return undefined;
  const { serial, standby, instance, state, generation, reason } = value;
  if (!isCount(serial) || !isCount(generation) || !states.has(state)) return undefined;
  if (typeof standby !== 'string' || typeof instance !== 'string' || typeof reason !== 'string') return undefined;
  return { serial, standby, instance, state: state as Pledge['state'], generation, reason };
}

function reliedOf(value: unknown): Relied | undefined {
  if (!isJsonObject(value)) return undefined;
  const { instance, serial, state, generation, taken, doubt } = value;
  const isWhole = typeof instance === 'string' && isCount(serial) && isCount(generation) && states.has(state);
  const isTaken = taken === undefined || taken === 'itself' || taken === 'told';
  if (!isWhole || !isTaken || (doubt !== undefined && typeof doubt !== 'string')) return undefined;
  return value as unknown as Relied;
}

/** What cannot be read is no promise that is over. @throws Refusal ledger_unavailable */
export const pledgeIn = (text: string | undefined): Pledge | undefined => read(text, pledgeOf, 'pledge_malformed');
export const reliedIn = (text: string | undefined): Relied | undefined => read(text, reliedOf, 'relied_malformed');

/** Nobody relies on it. */
export const isFree = (pledge: Pledge | undefined): boolean => pledge === undefined || pledge.state === 'over';

/** Nothing was promised yet; the standby is to say which database it is. */
export const unpledged = (standby: string): Pledge => ({
  serial: 0,
  standby,
  instance: '',
  state: 'over',
  generation: 0,
  reason: 'confirmed',
});

/** Whether all that the other has answered is here, by what it promised: it holds from that log on. */
export const isCovered = ({ state, generation }: Relied, here: number): boolean => state === 'on' && here >= generation;

/** Why it is over where an operator said so, and not the standby. */
export const forgottenReason = 'forgotten';

/**
 * Takes back what was promised without the standby: only for one that is known never to take over any more. Gives what it
 * was; undefined where nobody relies on anything. Nothing changes where another one does, or has taken over. Rejects with Refusal ledger_unavailable.
 */
export async function forgetStandby(texts: Texts, standby: string, deadline: Deadline): Promise<Pledge | undefined> {
  const was = await texts.read(pledgeName, deadline);
  const pledge = pledgeIn(was);
  if (pledge === undefined || isFree(pledge)) return undefined;
  if (pledge.state === 'replaced' || pledge.standby !== standby) return pledge;
  const over: Pledge = { ...pledge, serial: pledge.serial + 1, state: 'over', reason: forgottenReason };
  if (!(await texts.write(pledgeName, was, JSON.stringify(over), deadline))) throw unavailable('pledge_moved');
  return pledge;
}

function read<T>(text: string | undefined, of: (value: unknown) => T | undefined, reason: string): T | undefined {
  if (text === undefined) return undefined;
  const found = of(json(text));
  if (found === undefined) throw unavailable(reason);
  return found;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
