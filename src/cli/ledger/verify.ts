import { kinds } from '../../credentials/index.ts';
import type { Inspection } from '../../ledger/drivers/driver.ts';
import { logNamed, shardOrigin } from '../../ledger/log-name.ts';
import { StoreFault } from '../../ledger/log-store.ts';
import { hashedShard } from '../../ledger/shards/placement.ts';
import { NoteError, noteVerifier, vkeyAs } from '../../ledger/tree/note.ts';
import { type Finding, type VerifyReport, verifyLog } from '../../ledger/verify/verify.ts';
import { type ConfigFile, readConfigFile } from '../config-file.ts';
import { exit, Failure } from '../failure.ts';
import { isAway } from '../ledger-failure.ts';
import { shown, type Terminal } from '../terminal.ts';
import { inspectLedger } from './inspect.ts';
import { ledgerKey } from './key.ts';
import { publishedSource, type ReadPublished, shardsPublished } from './tiles.ts';
import { openStateFile, refuseOtherShards, requireStateFolder, stateFileOf } from './verify-state.ts';

const quietMs = 1_000;

/** Where the log to be verified is: exactly one of `config`, `tiles` and `url`; the latter two with `key`. */
export interface VerifyTarget {
  readonly config?: string | ConfigFile;
  /** A folder that holds a published log. */
  readonly tiles?: string;
  /** A published log, read as `readLog` reads it. */
  readonly url?: string;
  readonly readLog: ReadPublished;
  readonly key?: string;
  /** The file that says where the run before stopped, and is told where this one does; of shard n, with `.n` behind it. */
  readonly resume?: string;
  /** How many shards the ledger has, as the verifier knows it; 1 where it has none. Whoever serves a log may leave some out. */
  readonly shards?: number;
  /** The index of the questions is compared too. */
  readonly index?: boolean;
}

/** What was found in all logs of a ledger; of a sharded one each finding names its log. */
export interface WholeReport {
  readonly size: number;
  readonly findings: readonly (Finding & { readonly log?: string })[];
  readonly open: readonly (VerifyReport['open'][number] & { readonly log?: string })[];
  readonly gaps: VerifyReport['gaps'];
  /** How many there were; absent for a ledger of one log. */
  readonly shards?: number;
}

/** Verifies a ledger, beside its running server too; `since`: checkpoints of its logs. @throws Failure when it, its key or `since` cannot be read at all */
export async function verify(
  target: VerifyTarget,
  since: string | readonly string[] | undefined,
  terminal: Terminal,
): Promise<WholeReport> {
  if (target.resume !== undefined) await requireStateFolder(target.resume, terminal);
  try {
    const { shards, key, open } = await findTarget(target, terminal);
    const needIntent = new Set(kinds.filter(({ made }) => made === 'target').map(({ name }) => name));
    const { name } = noteVerifier(key);
    const notes = typeof since === 'string' ? [since] : (since ?? []);
    const verifyOne = async (shard: number | undefined, placed?: (once: string) => boolean): Promise<VerifyReport> => {
      const log = shard === undefined ? name : shardOrigin(name, shard);
      const { source, close } = await open(shard);
      try {
        if (target.index === true && source.index === undefined)
          throw new Failure(exit.usage, 'the index of this ledger cannot be compared', 'leave out --index');
        const progress = showProgress(terminal, shard === undefined ? undefined : log);
        const ofShard = notes.filter((one) => logOfSince(one, name)?.shard === shard);
        const file = target.resume && stateFileOf(target.resume, shard);
        const state = file === undefined ? {} : await openStateFile(file, terminal);
        return await verifyLog(source, {
          key: vkeyAs(key, log),
          needIntent,
          progress,
          placed,
          index: target.index === true,
          since: ofShard,
          ...state,
        });
      } finally {
        await close();
      }
    };
    if (target.shards !== undefined && target.shards !== (shards ?? 1))
      throw new Failure(
        exit.negative,
        `${shards ?? 'no'} shards are there, and the ledger has ${target.shards}, as --shards says`,
      );
    for (const note of notes) checkSince(note, name, shards);
    if (target.resume !== undefined) await refuseOtherShards(target.resume, shards, terminal);
    if (shards === undefined) return await verifyOne(undefined);
    return await verifyShards(name, shards, verifyOne);
  } catch (error) {
    if (error instanceof NoteError)
      throw new Failure(
        exit.negative,
        `the key or a checkpoint does not verify: ${error.reason}`,
        error.reason === 'not_signed' || error.reason === 'wrong_origin' ? whoseKey : undefined,
      );
    if (error instanceof StoreFault)
      throw new Failure(isAway(error) ? exit.unreachable : exit.negative, `the ledger cannot be read: ${error.reason}`);
    throw error;
  }
}

const whoseKey = 'is --key this ledger’s, and did it sign the checkpoint? `hallpass ledger key` at the ledger shows it';

const logOfSince = (since: string, origin: string) =>
  logNamed(origin, since.slice(0, Math.max(0, since.indexOf('\n'))));

/** @throws Failure where the checkpoint is of none of its logs, and so would check nothing */
function checkSince(since: string, origin: string, shards: number | undefined): void {
  const log = logOfSince(since, origin);
  const there =
    log !== undefined && (log.shard === undefined) === (shards === undefined) && (log.shard ?? 0) < (shards ?? 1);
  if (there) return;
  const hint = 'a checkpoint begins with a line that names its log, as `hallpass ledger checkpoint` prints it';
  throw new Failure(exit.negative, `the checkpoint given is of no log of ${shown(origin)}`, hint);
}

/**
 * One shard after another, the first one last: what the others have of its lockdowns is then not younger than what is read
 * of it, while a server goes on.
 */
async function verifyShards(
  origin: string,
  count: number,
  verifyOne: (shard: number, placed: (once: string) => boolean) => Promise<VerifyReport>,
): Promise<WholeReport> {
  const reports: { log: string; report: VerifyReport }[] = [];
  for (let shard = count - 1; shard >= 0; shard--)
    reports.unshift({
      log: shardOrigin(origin, shard),
      report: await verifyOne(shard, (once) => hashedShard(once, count) === shard),
    });
  const sequence = reports[0]?.report.lockdowns ?? [];
  const findings: WholeReport['findings'][number][] = [];
  for (const { log, report } of reports) {
    findings.push(...report.findings.map((finding) => ({ log, ...finding })));
    if (report.lockdowns.some((lockdown, at) => lockdown !== sequence[at]))
      findings.push({
        log,
        code: 'lockdowns_differ',
        message: `its lockdowns are not those of ${shardOrigin(origin, 0)}`,
      });
  }
  return {
    shards: count,
    size: reports.reduce((sum, { report }) => sum + report.size, 0),
    findings,
    open: reports.flatMap(({ log, report }) => report.open.map((open) => ({ log, ...open }))),
    gaps: reports.flatMap(({ report }) => report.gaps),
  };
}

interface Target {
  /** The verifier key of the ledger. */
  readonly key: string;
  /** undefined: one log. */
  readonly shards: number | undefined;
  open(shard: number | undefined): Promise<Inspection>;
}

/** With a config the key comes from its signer; a published log is never asked for the key it is checked with. */
async function findTarget({ config, tiles, url, readLog, key }: VerifyTarget, terminal: Terminal): Promise<Target> {
  if ([config, tiles, url].filter((where) => where !== undefined).length !== 1)
    throw new Failure(exit.usage, 'say which log: one of --config, --tiles and --url');
  if (config !== undefined) {
    const file = typeof config === 'string' ? await readConfigFile(config, terminal) : config;
    const { shards } = file.config.ledger;
    return {
      key: key ?? (await ledgerKey(file, terminal)),
      shards: typeof shards === 'number' && shards > 1 ? shards : undefined,
      open: (shard) => inspectLedger(file, terminal, shard),
    };
  }
  if (key === undefined)
    throw new Failure(exit.usage, 'with --tiles and --url the log needs --key', 'as you know it, not as the log says');
  const { name } = noteVerifier(key);
  return {
    key,
    shards: await shardsPublished(readLog),
    async open(shard) {
      const log = shard === undefined ? key : vkeyAs(key, shardOrigin(name, shard));
      const source = await publishedSource(readLog, log, { shard, archive: tiles !== undefined });
      return { source, close: async () => {} };
    },
  };
}

/** One line for each finding, open intent and gap. */
export function describeReport({ findings, open, gaps }: WholeReport): string {
  const where = (index: number | undefined, log = 'log') =>
    index === undefined ? log : `${log === 'log' ? '' : `${log} `}entry ${index}`;
  const found = findings.map(({ index, log, code, message }) => `${where(index, log)}: ${code}: ${shown(message)}\n`);
  const pending = open.map(
    ({ index, log, issuance }) => `${where(index, log)}: open: the intent of ${shown(issuance)} has no outcome\n`,
  );
  const lost = gaps.map(
    ({ log, from, to }) => `${shown(log)}: gap: entries ${from} to ${to - 1} are lost, as its successor says\n`,
  );
  return [...found, ...pending, ...lost].join('');
}

/** What it comes to, in one line. */
export function summarize({ size, findings, open, gaps, shards }: WholeReport): string {
  const many = findings.length === 1 ? '1 finding' : `${findings.length} findings`;
  const found = findings.length === 0 ? 'nothing wrong found' : many;
  const all = shards === undefined ? '' : ` in ${shards} shards`;
  return `${size} entries${all}, ${open.length} open, ${gaps.length === 0 ? '' : `${gaps.length === 1 ? '1 gap' : `${gaps.length} gaps`}, `}${found}\n`;
}

const barWidth = 24;

/** A line that is written over, at most once a second, on a terminal only. */
function showProgress(terminal: Terminal, log?: string): (done: number, size: number) => void {
  const began = terminal.now();
  let last = began;
  return (done, size) => {
    const at = terminal.now();
    if (!terminal.errIsTerminal || (at - last < quietMs && (done < size || last === began))) return;
    last = at;
    const part = size === 0 ? 1 : done / size;
    const bar = '#'.repeat(Math.floor(part * barWidth)).padEnd(barWidth, '.');
    const rate = Math.round((done * 1000) / Math.max(1, at - began));
    terminal.err(
      `\r${log === undefined ? '' : `${log} `}[${bar}] ${Math.floor(part * 100)} %, ${done} of ${size} entries, ${rate}/s${done === size ? '\n' : ''}`,
    );
  };
}
