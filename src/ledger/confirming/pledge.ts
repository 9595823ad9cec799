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
}

/** How long a standby's question may wait for its answer, milliseconds. */
export const longestPollMs = 1_000;

/** Under which name each side keeps its text. */
export const pledgeName = 'pledge';
export const reliedName = 'relied';

export const pledgeIn = (text: string | undefined): Pledge | undefined => read(text) as Pledge | undefined;
export const reliedIn = (text: string | undefined): Relied | undefined => read(text) as Relied | undefined;

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

function read(text: string | undefined): unknown {
  const value: unknown = text === undefined ? undefined : JSON.parse(text);
  return isJsonObject(value) ? value : undefined;
}
