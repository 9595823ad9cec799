import { equalBytes } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import { isFree, pledgeIn, pledgeName } from '../confirming/pledge.ts';
import type { Asked, Relying } from '../confirming/relying.ts';
import { type Erasing, erasingOf } from '../erasure/erasing.ts';
import { hereOf, type Looked, repeatErasures } from '../erasure/repeat-erasures.ts';
import type { Followed } from '../following.ts';
import type { AppendRequest, Ledger } from '../ledger.ts';
import { endOf } from '../log/draft.ts';
import { logNamed } from '../log-name.ts';
import type { Head } from '../log-store.ts';
import { parseRecord, type RecordText } from '../records/record.ts';
import { openCheckpoint } from '../tree/checkpoint.ts';
import { noteVerifier, vkeyAs } from '../tree/note.ts';
import { unavailable } from '../unavailable.ts';
import { repeatFollowed, saysErased, withinMs } from './followed-erasures.ts';
import { spends } from './once-gate.ts';
import { type Promoted, promote } from './promote.ts';
import { checkpointName, headOf, logsOf, type Promotion, promotionIn, promotionName, textsOf } from './promotion.ts';

export interface FollowDeps {
  /** Asks the ledger that is followed, for the log of this origin; tells it that all before `after` is durable here. */
  readonly ask: (origin: string, after: number, deadline: Deadline, asked?: Asked) => Promise<Followed>;
  /** Keeps what is promised; absent: nothing is relied on. */
  readonly relying?: Pick<Relying, 'asked' | 'hear'>;
  readonly now: () => number;
}

export interface Standby {
  /** The ledger of this deployment: it takes appends once it is promoted. */
  readonly ledger: Ledger;
  promoted(deadline: Deadline): Promise<boolean>;
  /**
   * Whether it is promoted, and nothing is left here of what the other erased: what is left is erased first. Until then
   * nothing may be carried from here. Rejects with Refusal ledger_unavailable.
   */
  erased(deadline: Deadline): Promise<boolean>;
  /**
   * Takes what the other has more; gives how many entries, and not none where it has something new to say as it asks again.
   * Rejects with Refusal ledger_unavailable or invalid_request.
   */
  follow(deadline: Deadline): Promise<number>;
  /**
   * Is promoted, where nothing that the other answered is lost by it, or goes on with that where it had begun; gives the
   * log that grows then. Rejects with Refusal ledger_unavailable `not_covered` where something may be, and `answered` where
   * the doubt stands no more.
   */
  takeOver(deadline: () => Deadline, doubt?: string): Promise<Pick<Promoted, 'generation'>>;
}

/** Where somebody waits for each answer, it is looked this often for erasures that another process left; milliseconds. */
const erasePauseMs = 5_000;
/** How long one that is left may keep the next question; milliseconds. */
const eraseFirstMs = 1_000;

/** A ledger that follows another until it is promoted, and refuses appends until then. */
export function openStandby(ledger: Ledger, { ask, now, relying }: FollowDeps): Standby {
  const texts = textsOf(ledger);
  let promotion: Promotion | undefined;
  let erasedAt = Number.NEGATIVE_INFINITY;
  let isFollower = false;
  /** Of which logs there may be something left to erase: of all, as this process may have been killed before. */
  const owing = new Set(logsOf(ledger).map(({ origin }) => origin));
  const looked = new Map<string, Looked>();
  let nothingLeft = false;

  async function promoted(deadline: Deadline): Promise<boolean> {
    const read = promotion ?? promotionIn(await texts.read(promotionName, deadline));
    if (read?.done === true) promotion = read;
    return promotion !== undefined;
  }

  /** @throws Refusal ledger_unavailable */
  async function admit(request: AppendRequest | undefined, deadline: Deadline): Promise<void> {
    if (!(await promoted(deadline)) || promotion === undefined) throw unavailable('standby');
    if (request === undefined || now() >= promotion.onceFrom) return;
    // What was spent at the other after the last entry that came here is not known here.
    if (!spends(request)) return;
    // The waiting may have been ended meanwhile, by another process.
    promotion = promotionIn(await texts.read(promotionName, deadline)) ?? promotion;
    if (now() < promotion.onceFrom) throw new Refusal('ledger_unavailable', 'once_after_promotion', { retryAfter: 60 });
  }

  async function takeOverItself(until: () => Deadline, doubt?: string): Promise<Promoted> {
    const logs = await promote(ledger, { checkpoints: [], onceAfter: 0, now: now(), byItself: true, doubt }, until);
    return logs[0] as Promoted;
  }

  async function erased(deadline: Deadline): Promise<boolean> {
    if (!(await promoted(deadline)) || promotion === undefined) return false;
    if (!nothingLeft) await repeatFollowed(ledger, promotion, deadline);
    nothingLeft = true;
    return true;
  }

  async function erase({ origin }: Ledger, deadline: Deadline): Promise<void> {
    owing.add(origin);
    const logs = erasingOf(ledger);
    const own = logs.find((one) => one.origin === origin);
    const ends = new Map<Erasing, number>();
    for (const log of logs) ends.set(log, await hereOf(log, deadline));
    // What another process appends once it has promoted it was not copied.
    if (await promoted(deadline)) return;
    const seen = looked.get(origin) ?? new Map();
    looked.set(origin, seen);
    const endOf = async (log: Erasing) => ends.get(log) ?? 0;
    if (own !== undefined) await repeatErasures(own, logs, deadline, endOf, seen);
    owing.delete(origin);
  }

  /** The database of one that has promised something itself would never take over: nobody is to rely on it. */
  async function checkFollower(deadline: Deadline): Promise<void> {
    if (isFollower) return;
    if (!isFree(pledgeIn(await texts.read(pledgeName, deadline)))) throw unavailable('not_empty');
    isFollower = true;
  }

  /** `epoch`: the newest lockdown it may have. */
  async function followOne(log: Ledger, epoch: number, deadline: Deadline): Promise<number> {
    const { reader, adopt } = log;
    if (reader === undefined || adopt === undefined) throw unavailable('not_here');
    // One that fails keeps nobody who waits for what is here.
    if (owing.has(log.origin)) await withinMs(eraseFirstMs, deadline, (limit) => erase(log, limit));
    await checkFollower(deadline);
    const head = await reader.head(deadline);
    const from = endOf(head);
    const asked = await relying?.asked(head, deadline);
    // It was begun, and ended by no one: nothing is asked any more.
    if (asked === 'told') throw unavailable('promotion_unfinished');
    if (asked === 'itself') {
      await takeOverItself(() => deadline);
      return 0;
    }
    const { copied, checkpoint, pledge } = await ask(log.origin, from, deadline, asked);
    await checkShown(log, head, { note: checkpoint, pledge }, deadline);
    // By another process meanwhile: what came is of a log that ends here.
    if (copied !== undefined && typeof (await relying?.asked(head, deadline)) === 'string')
      throw unavailable('promotion_unfinished');
    // What comes over whole in a moment need not be remembered as heard of.
    if (asked === undefined || copied?.checkpoints.at(-1)?.note !== checkpoint)
      await keepCheckpoint(log, checkpoint, deadline);
    const early = copied?.entries.some((entry) => epochAfter(entry) > epoch);
    const taken = copied === undefined || early === true ? 0 : (await adopt(copied, deadline)) - from;
    // Once more is asked for, the other says that it is erased.
    if (taken > 0 && copied?.entries.some(saysErased)) owing.add(log.origin);
    const news = (await relying?.hear(pledge, asked, deadline)) === true;
    const more = taken > 0 || !news ? taken : 1;
    const looked = asked !== undefined && Math.abs(now() - erasedAt) < erasePauseMs;
    if (looked && !owing.has(log.origin)) return more;
    erasedAt = now();
    // Entries came with what they disclose; what is erased there afterwards, only its record tells.
    await erase(log, deadline);
    return more;
  }

  /** Nothing but what was followed may get into it before: it would be another log under the same name. */
  const admitting = <L extends Ledger>(log: L): L => {
    const { append, accept, roll, claim } = log;
    return {
      ...log,
      async append(request, deadline) {
        await admit(request, deadline);
        return append(request, deadline);
      },
      ...(accept && {
        async accept(request, writer, deadline) {
          await admit(request, deadline);
          return accept(request, writer, deadline);
        },
      }),
      ...(roll && {
        async roll(request, deadline) {
          await admit(undefined, deadline);
          return roll(request, deadline);
        },
      }),
      ...(claim && {
        async claim(checkpoint, deadline) {
          await admit(undefined, deadline);
          return claim(checkpoint, deadline);
        },
      }),
    } satisfies L;
  };

  const { ownKeys } = ledger;
  return {
    promoted,
    erased,
    takeOver: takeOverItself,
    async follow(deadline) {
      let taken = 0;
      const [first, ...others] = logsOf(ledger) as [Ledger, ...Ledger[]];
      if (!(await promoted(deadline))) taken += await followOne(first, Number.POSITIVE_INFINITY, deadline);
      for (const log of others) {
        // The first shard decides the sequence of lockdowns: here too no other may have one that it has not.
        const { epoch } = await headOf(first.reader, deadline);
        if (!(await promoted(deadline))) taken += await followOne(log, epoch, deadline);
      }
      return taken;
    },
    ledger: {
      ...admitting(ledger),
      ...(ledger.shards && { shards: ledger.shards.map(admitting) }),
      ...(ownKeys && {
        ownKeys: {
          ...ownKeys,
          async record(begin, end, deadline) {
            if (await promoted(deadline)) await ownKeys.record(begin, end, deadline);
          },
        },
      }),
      async ready(deadline) {
        await admit(undefined, deadline);
        await ledger.ready(deadline);
      },
    },
  };
}

/** Of a lockdown, the epoch it begins; 0 for any other record, also for one that will not be taken. */
function epochAfter({ record }: RecordText): number {
  if (!record.includes('"type":"lockdown"')) return 0;
  try {
    const { type, epoch } = parseRecord(record);
    return type === 'lockdown' ? (epoch ?? 0) : 0;
  } catch {
    return 0;
  }
}

/**
 * What came over is there too, as it was, or the other was put back or written anew: that would show with its next entries
 * only, and be lost sight of until then.
 */
async function checkShown(
  { origin, key }: Ledger,
  { generation, size, root, checkpoint }: Pick<Head, 'generation' | 'size' | 'root' | 'checkpoint'>,
  { note, pledge }: { readonly note: string } & Pick<Followed, 'pledge'>,
  deadline: Deadline,
): Promise<void> {
  if (note === checkpoint) return;
  const shown = treeOf(origin, await key(deadline), note);
  const ahead = shown.generation - generation || shown.size - size;
  // One that promises learns from the question itself that it was put back, and answers nothing more.
  if (ahead < 0 && pledge === undefined) throw unavailable('followed_behind');
  if (ahead === 0 && !equalBytes(shown.root, root)) throw unavailable('followed_rewritten');
}

async function keepCheckpoint(ledger: Ledger, note: string, deadline: Deadline): Promise<void> {
  const was = await ledger.texts?.read(checkpointName, deadline);
  if (was === note) return;
  const vkey = await ledger.key(deadline);
  const heard = treeOf(ledger.origin, vkey, note);
  const known = was === undefined ? undefined : treeOf(ledger.origin, vkey, was);
  // What it was once seen to have, it had.
  const older = known !== undefined && (heard.generation - known.generation || heard.size - known.size) < 0;
  if (!older) await ledger.texts?.write(checkpointName, was, note, deadline);
}

/** Which tree a checkpoint of the followed ledger is of. @throws Refusal ledger_unavailable */
function treeOf(origin: string, vkey: string, note: string): Pick<Head, 'generation' | 'size' | 'root'> {
  const name = note.slice(0, note.indexOf('\n'));
  const log = logNamed(origin, name);
  if (log === undefined || log.shard !== undefined) throw unavailable('other_log');
  try {
    const { size, root } = openCheckpoint(noteVerifier(vkeyAs(vkey, name)), note);
    return { generation: log.generation, size, root };
  } catch (error) {
    throw unavailable('checkpoint', error);
  }
}
