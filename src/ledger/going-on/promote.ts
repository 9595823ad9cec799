import { equalBytes } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import { takeOver } from '../confirming/relying.ts';
import { originOf } from '../generation.ts';
import type { Ledger, Rolled, RollRequest } from '../ledger.ts';
import { rootAt } from '../log-hashes.ts';
import { logNamed } from '../log-name.ts';
import { parseRecord } from '../records/record.ts';
import { openCheckpoint } from '../tree/checkpoint.ts';
import { NoteError, noteVerifier, vkeyAs } from '../tree/note.ts';
import { unavailable } from '../unavailable.ts';
import { repeatFollowed, withinMs } from './followed-erasures.ts';

export { onceTakenFrom } from './promotion.ts';

import { checkpointName, headOf, logsOf, promotionIn, promotionName, textsOf } from './promotion.ts';

export interface PromoteOptions {
  /** Further signed checkpoints of the ledger that was followed. */
  readonly checkpoints: readonly string[];
  /** How long a workload token lives at most, milliseconds; 0: nothing of the other is to be feared any more. */
  readonly onceAfter: number;
  readonly now: number;
  /** Only where nothing that was answered is lost by it. */
  readonly byItself?: boolean;
  /** Of one that takes over by itself: what no process of it has an answer to. */
  readonly doubt?: string | undefined;
}

/** How long erasures may hold up a promotion, milliseconds. */
const eraseMs = 3_000;

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
  refuseStrangers(logs, options.checkpoints);
  const unsaid = { ...(before ?? { at: options.now, ends, done: false }) };
  // What an earlier run ended is only told of. All is known before anything is begun: a refusal leaves a standby.
  const lost = await Promise.all(
    logs.map((log, at) => {
      const head = heads[at] as (typeof heads)[number];
      return unsaid.ends[at] === head.generation ? knownOf(log, head, options.checkpoints, deadline()) : head;
    }),
  );
  const [generation] = unsaid.ends as [number];
  const by = options.byItself === true ? 'itself' : 'told';
  const mayBegin = before !== undefined || options.onceAfter === 0;
  const cover = await takeOver(texts, { by, generation, mayBegin, doubt: options.doubt }, deadline()).catch((error) => {
    throw error instanceof Refusal && error.reason === 'begun' ? new PromoteError(begunWords) : error;
  });
  const covered = cover === 'covered';
  // Told again, it may end the waiting for tokens that are used once, and never begins it anew.
  const onceAfter = covered ? 0 : options.onceAfter;
  // Where nothing is waited for, no clock that is set back makes it wait.
  const from = onceAfter === 0 ? 0 : options.now + onceAfter;
  const onceFrom = Math.min(from, before?.onceFrom ?? Number.POSITIVE_INFINITY);
  const begun = { ...unsaid, onceFrom };
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
    if (!rolled.done && begun.ends[at] === head.generation && !(await isPromoted(log, head.generation, deadline()))) {
      // It followed the other into its next log just then: grown further, that would be two logs under one name.
      const ends = begun.ends.map((one, of) => (of === at ? rolled.generation : one));
      await texts.write(promotionName, noted, JSON.stringify({ ...begun, ends }), deadline());
      throw new PromoteError('the other has gone on in another log meanwhile; promote once more');
    }
    done.push({ ...rolled, ended: originOf(log.origin, head.generation), kept: head.size, known: size });
  }
  // One that fails must not keep the ledger from going on: it is repeated before anything is carried to a sink.
  await withinMs(eraseMs, deadline(), (limit) => repeatFollowed(ledger, begun, limit));
  const text = JSON.stringify({ ...begun, done: true });
  if (!(await texts.write(promotionName, noted, text, deadline())) && !(await wasPromoted(ledger, deadline())))
    throw unavailable('promoted_twice');
  return done;
}

/** Whether a log ended by a promotion: another process of this standby was faster. */
async function isPromoted({ origin, reader }: Ledger, generation: number, deadline: Deadline): Promise<boolean> {
  const [first] = (await reader?.succession(generation, deadline)) ?? [];
  if (first?.log !== originOf(origin, generation + 1)) return false;
  const { reason, kept } = parseRecord(first.record);
  return reason === 'promoted' && kept !== undefined;
}

const begunWords =
  'the other is about to go on in a log of which nothing is here: let it follow a moment longer; where the other takes no more appends, say --fenced';

/** Whether a standby's log was promoted. Rejects with Refusal ledger_unavailable. */
export const wasPromoted = async (ledger: Ledger, deadline: Deadline): Promise<boolean> =>
  promotionIn(await textsOf(ledger).read(promotionName, deadline))?.done === true;

/** Thrown for a checkpoint that cannot be taken; says why. */
export class PromoteError extends Error {
  override readonly name = 'PromoteError';
}

const nameIn = (note: string): string => note.slice(0, note.indexOf('\n'));

/** A file that is no checkpoint of this ledger says nothing of what is lost. @throws PromoteError */
function refuseStrangers(logs: readonly Ledger[], given: readonly string[]): void {
  const isOwn = (note: string) =>
    logs.some(({ origin }) => {
      const named = logNamed(origin, nameIn(note));
      return named !== undefined && named.shard === undefined;
    });
  if (!given.every(isOwn)) throw new PromoteError('a checkpoint is not of this ledger');
}

/** The largest tree known of the log that ends here. @throws PromoteError for one that was given and is of other entries */
async function knownOf(
  ledger: Ledger,
  { generation, size, root }: { generation: number; size: number; root: Uint8Array },
  given: readonly string[],
  deadline: Deadline,
): Promise<{ size: number; root: Uint8Array }> {
  const vkey = await ledger.key(deadline);
  const heard = await ledger.texts?.read(checkpointName, deadline);
  let largest = { size, root };

  /** Of its first entries; undefined where it is not known to have had as many. */
  async function ownRoot(of: number): Promise<Uint8Array | undefined> {
    if (of === largest.size) return largest.root;
    return of < size && ledger.reader !== undefined ? rootAt(ledger.reader, generation, of, deadline) : undefined;
  }

  for (const note of heard === undefined ? given : [heard, ...given]) {
    const name = nameIn(note);
    const named = logNamed(ledger.origin, name);
    if (named === undefined || named.shard !== undefined || named.generation < generation) continue;
    const checkpoint = opened(vkeyAs(vkey, name), note);
    // Begun here once more, that log would be two under one name.
    if (named.generation > generation)
      throw new PromoteError(`the other had gone on in ${name}, of which nothing is here: restore that log instead`);
    const own = note === heard ? undefined : await ownRoot(checkpoint.size);
    if (own !== undefined && !equalBytes(own, checkpoint.root))
      throw new PromoteError(
        `a checkpoint of ${name} is of another tree of ${checkpoint.size} entries: the log was written anew, or is not the one that was followed`,
      );
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
