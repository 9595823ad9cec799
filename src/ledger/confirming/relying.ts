import type { Deadline } from '../../lib/deadline.ts';
import type { OperatorLog } from '../../lib/platform.ts';
import type { Pledge, Poll } from '../following.ts';
import type { Ledger, Texts } from '../ledger.ts';
import type { Head } from '../log-store.ts';
import { unavailable } from '../unavailable.ts';
import { isCovered, type Relied, reliedIn, reliedName } from './pledge.ts';

/** What a standby that was promised something says of itself as it asks. */
export type Asked = Pick<Poll, 'generation' | 'root' | 'instance' | 'heard'>;

export interface Relying {
  /** Undefined: nobody has promised anything yet. Who takes over, by itself or told to, follows no more. */
  asked(
    head: Pick<Head, 'generation' | 'checkpoint'>,
    deadline: Deadline,
  ): Promise<Asked | 'itself' | 'told' | undefined>;
  /**
   * Asks all processes of this standby whether one of them has an answer; gives what is asked, the same while none has, and
   * undefined where nobody has promised anything. Rejects with Refusal ledger_unavailable.
   */
  doubt(deadline: Deadline): Promise<string | undefined>;
  /** The first has answered this process, whatever it said: nobody here need doubt that it is alive. */
  answered(deadline: Deadline): Promise<void>;
  /** Keeps what the answer to a question promises; whether that was news. */
  hear(pledge: Pledge | undefined, asked: Asked | undefined, deadline: Deadline): Promise<boolean>;
}

export interface RelyingDeps {
  /** A name for this database, made once. */
  readonly newInstance: () => string;
  readonly log: OperatorLog;
}

/** What a standby knows durably of the promise that it may rely on. */
export function openRelying(texts: Texts, { newInstance, log }: RelyingDeps): Relying {
  const blank = (): Relied => ({ instance: newInstance(), serial: 0, state: 'over', generation: 0 });

  return {
    async asked({ generation, checkpoint }, deadline) {
      const kept = reliedIn(await texts.read(reliedName, deadline));
      if (kept === undefined) return undefined;
      if (kept.taken !== undefined) return kept.taken;
      const root = checkpoint.split('\n', 3)[2];
      return { instance: kept.instance, heard: kept.serial, ...(root !== undefined && { generation, root }) };
    },
    async doubt(deadline) {
      for (let time = 0; time < tries; time++) {
        const was = await texts.read(reliedName, deadline);
        const kept = reliedIn(was);
        if (kept === undefined || kept.doubt !== undefined) return kept?.doubt;
        const doubt = newInstance();
        if (await texts.write(reliedName, was, JSON.stringify({ ...kept, doubt }), deadline)) return doubt;
      }
      throw unavailable('promoted_twice');
    },
    async answered(deadline) {
      const was = await texts.read(reliedName, deadline);
      const kept = reliedIn(was);
      if (kept?.doubt === undefined || kept.taken !== undefined) return;
      await texts.write(reliedName, was, JSON.stringify(undoubted(kept)), deadline);
    },
    async hear(pledge, asked, deadline) {
      const was = await texts.read(reliedName, deadline);
      const kept = reliedIn(was);
      if (kept?.taken !== undefined || (pledge === undefined && asked === undefined)) return false;
      const next = kept === undefined ? blank() : heardOf(kept, pledge, asked, blank);
      if (next === undefined && kept?.doubt === undefined) return false;
      const text = JSON.stringify(undoubted(next ?? (kept as Relied)));
      // Another process has heard something meanwhile, or takes over: its text stands, and more is heard soon.
      if (!(await texts.write(reliedName, was, text, deadline)) || next === undefined) return false;
      log(next.serial > 0 || kept === undefined ? 'info' : 'error', 'promised', {
        state: next.state,
        generation: next.generation,
      });
      return true;
    },
  };
}

const undoubted = ({ doubt: _, ...relied }: Relied): Relied => relied;

function heardOf(
  kept: Relied,
  pledge: Pledge | undefined,
  asked: Asked | undefined,
  blank: () => Relied,
): Relied | undefined {
  const mine = pledge?.instance === kept.instance;
  if (mine && pledge.serial > kept.serial) {
    const { serial, state, generation } = pledge;
    return { ...kept, serial, state, generation };
  }
  // Who was asked knew this promise, or a newer one. It knows none any more, or one to another: nothing holds it.
  const forgotten = asked?.instance === kept.instance && (!mine || pledge.serial < (asked.heard ?? 0));
  return forgotten && kept.serial > 0 ? blank() : undefined;
}

/** What can be said of a promotion: nothing that was answered is lost by it, or may be, or the log that would begin may be there. */
export type Cover = 'covered' | 'none' | 'begun';

export const coverOf = (relied: Relied | undefined, generation: number): Cover => {
  if (relied === undefined) return 'none';
  if (isCovered(relied, generation)) return 'covered';
  // Whatever became of the promise since: that log was announced.
  return generation < relied.generation ? 'begun' : 'none';
};

/** What a standby that took over says to the one it replaced; undefined: nobody relied on anything. */
export async function replacing(
  ledger: Pick<Ledger, 'reader' | 'texts'>,
  deadline: Deadline,
): Promise<{ readonly instance: string; readonly after: number; readonly promoted: number } | undefined> {
  const relied = reliedIn(await ledger.texts?.read(reliedName, deadline));
  const head = await ledger.reader?.head(deadline);
  if (relied?.taken === undefined || relied.instance === noInstance || head === undefined) return undefined;
  return { instance: relied.instance, after: head.base, promoted: head.generation };
}

/** Another process of the standby may hear something at the same moment. */
const tries = 8;

/**
 * The point of no return, before anything of a promotion is written: from here on no process of this standby hears or
 * confirms anything, also where nothing was ever promised. `generation`: the log that is to end. Gives how it stands, by the
 * very text that ends here. `mayBegin`: also where the next log may have begun at the other. `doubt`: only while that stands.
 *
 * @throws Refusal ledger_unavailable `not_covered`, of one that takes over by itself; `answered`; `begun`; `promoted_twice`
 */
export async function takeOver(
  texts: Texts,
  {
    by,
    generation,
    mayBegin = false,
    doubt,
  }: {
    readonly by: 'itself' | 'told';
    readonly generation: number;
    readonly mayBegin?: boolean;
    readonly doubt?: string | undefined;
  },
  deadline: Deadline,
): Promise<Cover> {
  for (let time = 0; time < tries; time++) {
    const was = await texts.read(reliedName, deadline);
    const relied = by === 'told' ? readable(was) : reliedIn(was);
    const cover = coverOf(relied, generation);
    if (by === 'itself' && cover !== 'covered') throw unavailable('not_covered');
    if (relied?.taken !== undefined) return cover;
    if (doubt !== undefined && relied?.doubt !== doubt) throw unavailable('answered');
    if (cover === 'begun' && !mayBegin) throw unavailable('begun');
    const taken: Relied = { ...(relied ?? unrelied), taken: by };
    if (await texts.write(reliedName, was, JSON.stringify(taken), deadline)) return cover;
  }
  throw unavailable('promoted_twice');
}

/** Who tells it to take over goes by no promise, so none keeps it from that by being unreadable. */
function readable(text: string | undefined): Relied | undefined {
  try {
    return reliedIn(text);
  } catch {
    return undefined;
  }
}

/** Nobody was told of this database. */
const noInstance = '';
const unrelied: Relied = { instance: noInstance, serial: 0, state: 'over', generation: 0 };
