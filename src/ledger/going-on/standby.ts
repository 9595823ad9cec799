import type { Deadline } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import { isJsonObject } from '../../lib/strict-json.ts';
import { erasingOf } from '../erasure/erasing.ts';
import { repeatErasures } from '../erasure/repeat-erasures.ts';
import { originOf } from '../generation.ts';
import type { AppendRequest, Ledger, Rolled, RollRequest, Texts } from '../ledger.ts';
import { logNamed } from '../log-name.ts';
import { parseRecord, type RecordText } from '../records/record.ts';
import { openCheckpoint } from '../tree/checkpoint.ts';
import { NoteError, noteVerifier, vkeyAs } from '../tree/note.ts';
import { unavailable } from '../unavailable.ts';
import type { Followed } from '../wire.ts';

export interface FollowDeps {
  /** Asks the ledger that is followed, for the log of this origin; tells it that all before `after` is durable here. */
  readonly ask: (origin: string, after: number, deadline: Deadline) => Promise<Followed>;
  readonly now: () => number;
}

export interface Standby {
  /** The ledger of this deployment: it takes appends once it is promoted. */
  readonly ledger: Ledger;
  promoted(deadline: Deadline): Promise<boolean>;
  /** Takes what the other has more; gives how many entries. Rejects with Refusal ledger_unavailable or invalid_request. */
  follow(deadline: Deadline): Promise<number>;
}

/** When this ledger was promoted, and from when on it takes tokens that may be used once; milliseconds since the epoch. */
interface Promotion {
  readonly at: number;
  readonly onceFrom: number;
  /** Of the logs that end by it, in the order of the shards. */
  readonly ends: readonly number[];
  /** All of them have ended. */
  readonly done: boolean;
}

const promotionName = 'promotion';
/** The newest checkpoint of the followed log, kept beside each log. */
const checkpointName = 'followed';

/** Whether an append spends a token, or says that one was spent. */
export const spends = ({ once, entries }: AppendRequest): boolean =>
  once !== undefined || entries.some(({ record }) => record.includes('"once":'));

const logsOf = (ledger: Ledger): readonly Ledger[] => ledger.shards ?? [ledger];

/** A ledger that follows another until it is promoted, and refuses appends until then. */
export function openStandby(ledger: Ledger, { ask, now }: FollowDeps): Standby {
  const texts = textsOf(ledger);
  let promotion: Promotion | undefined;

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

  /** `epoch`: the newest lockdown it may have. */
  async function followOne(log: Ledger, epoch: number, deadline: Deadline): Promise<number> {
    const { reader, adopt } = log;
    if (reader === undefined || adopt === undefined) throw unavailable('not_here');
    const { base, size } = await reader.head(deadline);
    const from = base + size;
    const { copied, checkpoint } = await ask(log.origin, from, deadline);
    await keepCheckpoint(log, checkpoint, deadline);
    const early = copied?.entries.some((entry) => epochAfter(entry) > epoch);
    const taken = copied === undefined || early === true ? 0 : (await adopt(copied, deadline)) - from;
    // Entries came with what they disclose; what is erased there afterwards, only its record tells.
    const own = erasingOf(ledger).find(({ origin }) => origin === log.origin);
    if (own !== undefined) await repeatErasures(own, erasingOf(ledger), deadline);
    return taken;
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

export interface PromoteOptions {
  /** Further signed checkpoints of the ledger that was followed. */
  readonly checkpoints: readonly string[];
  /** How long a workload token lives at most, milliseconds; 0: nothing of the other is to be feared any more. */
  readonly onceAfter: number;
  readonly now: number;
}

/** What became of one log. */
export interface Promoted extends Rolled {
  readonly ended: string;
  readonly kept: number;
  /** How many entries it is known to have had: [kept, known) are lost. */
  readonly known: number;
}

/**
 * Ends each log of a standby where it is, and begins its successor: what the other appends from now on is in no log that
 * this ledger's brokers believe. Told twice it does what is left to do.
 *
 * @throws Refusal; PromoteError for a checkpoint that is not this ledger's
 */
export async function promote(ledger: Ledger, options: PromoteOptions, deadline: () => Deadline): Promise<Promoted[]> {
  const texts = textsOf(ledger);
  const logs = logsOf(ledger);
  const heads = await Promise.all(logs.map(({ reader }) => headOf(reader, deadline())));
  const was = await texts.read(promotionName, deadline());
  const ends = heads.map(({ generation }) => generation);
  const before = promotionIn(was);
  // Told again, it may end the waiting for tokens that are used once, and never begins it anew.
  const onceFrom = Math.min(options.now + options.onceAfter, before?.onceFrom ?? Number.POSITIVE_INFINITY);
  const begun = { ...(before ?? { at: options.now, ends, done: false }), onceFrom };
  // What an earlier run ended is only told of. All is known before anything is begun: a refusal leaves a standby.
  const lost = await Promise.all(
    logs.map((log, at) => {
      const head = heads[at] as (typeof heads)[number];
      return begun.ends[at] === head.generation ? knownOf(log, head, options.checkpoints, deadline()) : head;
    }),
  );
  // Which logs are to end is known before the first one does: told again, it ends no other.
  const noted = JSON.stringify(begun);
  if (!(await texts.write(promotionName, was, noted, deadline()))) throw unavailable('promoted_twice');
  const done: Promoted[] = [];
  for (const [at, log] of logs.entries()) {
    const head = heads[at] as (typeof heads)[number];
    const known = lost[at] as (typeof lost)[number];
    const { roll } = log;
    if (roll === undefined) throw unavailable('not_here');
    const { size, root } = known;
    const request: RollRequest = { generation: begun.ends[at] as number, lost: { size, root }, reason: 'promoted' };
    const rolled = await roll(request, deadline());
    if (!rolled.done && begun.ends[at] === head.generation) {
      // It followed the other into its next log just then: grown further, that would be two logs under one name.
      const ends = begun.ends.map((one, of) => (of === at ? rolled.generation : one));
      await texts.write(promotionName, noted, JSON.stringify({ ...begun, ends }), deadline());
      throw new PromoteError('the other has gone on in another log meanwhile; promote once more');
    }
    done.push({ ...rolled, ended: originOf(log.origin, head.generation), kept: head.size, known: size });
  }
  const text = JSON.stringify({ ...begun, done: true });
  if (!(await texts.write(promotionName, noted, text, deadline()))) throw unavailable('promoted_twice');
  return done;
}

/** Whether a standby's log was promoted. Rejects with Refusal ledger_unavailable. */
export const wasPromoted = async (ledger: Ledger, deadline: Deadline): Promise<boolean> =>
  promotionIn(await textsOf(ledger).read(promotionName, deadline))?.done === true;

/** From when on a promoted ledger takes tokens that may be used once, milliseconds since the epoch. Rejects likewise. */
export const onceTakenFrom = async (ledger: Ledger, deadline: Deadline): Promise<number | undefined> =>
  promotionIn(await textsOf(ledger).read(promotionName, deadline))?.onceFrom;

/** Thrown for a checkpoint that cannot be taken; says why. */
export class PromoteError extends Error {
  override readonly name = 'PromoteError';
}

/** The largest tree known of the log that ends here. */
async function knownOf(
  ledger: Ledger,
  { generation, size, root }: { generation: number; size: number; root: Uint8Array },
  given: readonly string[],
  deadline: Deadline,
): Promise<{ size: number; root: Uint8Array }> {
  const vkey = await ledger.key(deadline);
  const heard = await ledger.texts?.read(checkpointName, deadline);
  let largest = { size, root };
  for (const note of heard === undefined ? given : [...given, heard]) {
    const name = note.slice(0, note.indexOf('\n'));
    const named = logNamed(ledger.origin, name);
    if (named === undefined || named.shard !== undefined || named.generation < generation) continue;
    const checkpoint = opened(vkeyAs(vkey, name), note);
    // Begun here once more, that log would be two under one name.
    if (named.generation > generation)
      throw new PromoteError(`the other had gone on in ${name}, of which nothing is here: restore that log instead`);
    if (checkpoint.size > largest.size) largest = { size: checkpoint.size, root: checkpoint.root };
  }
  return largest;
}

function opened(vkey: string, note: string) {
  try {
    return openCheckpoint(noteVerifier(vkey), note);
  } catch (error) {
    throw new PromoteError(
      `a checkpoint does not verify: ${error instanceof NoteError ? error.reason : 'it is malformed'}`,
    );
  }
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
function treeOf(origin: string, vkey: string, note: string): { readonly generation: number; readonly size: number } {
  const name = note.slice(0, note.indexOf('\n'));
  const log = logNamed(origin, name);
  if (log === undefined || log.shard !== undefined) throw unavailable('other_log');
  try {
    const { size } = openCheckpoint(noteVerifier(vkeyAs(vkey, name)), note);
    return { generation: log.generation, size };
  } catch (error) {
    throw unavailable('checkpoint', error);
  }
}

async function headOf(reader: Ledger['reader'], deadline: Deadline) {
  if (reader === undefined) throw unavailable('not_here');
  return reader.head(deadline);
}

function textsOf(ledger: Ledger): Texts {
  const texts = logsOf(ledger)[0]?.texts;
  if (texts === undefined) throw unavailable('not_here');
  return texts;
}

function promotionIn(text: string | undefined): Promotion | undefined {
  const value: unknown = text === undefined ? undefined : JSON.parse(text);
  return isJsonObject(value) ? (value as unknown as Promotion) : undefined;
}
