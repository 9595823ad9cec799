import { constants, createReadStream, existsSync } from 'node:fs';
import { access, copyFile, readdir, readFile, readlink, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type CopiedEntry, RestoreError } from '../../ledger/going-on/copies.ts';
import { onceFrom } from '../../ledger/going-on/once-gate.ts';
import { type Restored, restoreLedger } from '../../ledger/going-on/restore.ts';
import { canonicalJson } from '../../lib/canonical-json.ts';
import { deadlineIn } from '../../lib/deadline.ts';
import { isJsonObject, type Json } from '../../lib/strict-json.ts';
import { instantMs, parseDuration } from '../../lib/time.ts';
import { type ConfigFile, readConfigFile } from '../config-file.ts';
import { exit, Failure } from '../failure.ts';
import { shown, type Terminal } from '../terminal.ts';
import { isBucket } from './archive-place.ts';
import { requireThere, withOwnLog } from './roll.ts';
import { publishedSource } from './tiles.ts';
import { describeReport, verify } from './verify.ts';

/** Each commit may take this long, milliseconds. */
const restoreMs = 60_000;
const tilePage = 256;

export interface RestoreGiven {
  readonly config: string;
  /** An SQLite file, put where the config's ledger is. */
  readonly from?: string;
  /** Files of a sink's native NDJSON; oldest first is read once. */
  readonly records: readonly string[];
  /** Folders that hold a published log. */
  readonly tiles: readonly string[];
  /** Files with a signed checkpoint each. */
  readonly checkpoints: readonly string[];
  /** How long a workload token lives at most; default 25h. */
  readonly tokenLife: string;
  /** No checkpoint was kept: nobody knows of more than the backup and the tiles have. */
  readonly nothingKnown?: boolean;
}

/** What came of each log, and when the ledger takes tokens again that may be used once. */
export interface RestoredLogs {
  readonly logs: readonly Restored[];
  /** Absent: at once. */
  readonly once_from?: string;
}

/** Puts a ledger back and lets it go on in its next log; where that fails, nothing is left of it. @throws Failure */
export async function restoreOwnLog(given: RestoreGiven, terminal: Terminal): Promise<RestoredLogs> {
  checkGiven(given);
  const life = parseDuration(given.tokenLife);
  if (life === undefined)
    throw new Failure(exit.usage, `${JSON.stringify(shown(given.tokenLife))} is no duration`, 'such as 1h or 25h');
  const tiles = (await Promise.all(given.tiles.map((folder) => logsIn(folder, terminal)))).flat();
  const notes = await Promise.all([
    ...given.checkpoints.map((file) => readText('--checkpoint', file, terminal)),
    ...tiles.map((folder) => readText('--tiles', join(folder, 'checkpoint'), terminal)),
  ]);
  for (const file of given.records) await requireNative(file, terminal);
  const config = await readConfigFile(given.config, terminal);
  const restore = async (file: ConfigFile): Promise<RestoredLogs> => {
    await requireClean(file, notes, terminal);
    return withOwnLog(file, terminal, async (ledger) => {
      const key = await ledger.key(until());
      const tileNotes = notes.slice(given.checkpoints.length);
      const copies = { [Symbol.asyncIterator]: () => copiesOf(given.records, tiles, tileNotes, key, terminal) };
      const sources = { checkpoints: notes, copies, tokenLife: life * 1000 };
      const logs = await restoreLedger(ledger, sources, until).catch((error) => {
        if (error instanceof RestoreError) throw new Failure(exit.negative, shown(error.message), error.hint);
        throw error;
      });
      const from = await onceFrom(ledger, until());
      return { logs, ...(from !== undefined && from > terminal.now() && { once_from: instantMs(from) }) };
    });
  };
  const until = () => deadlineIn(restoreMs, terminal.now);
  if (given.from === undefined) requireThere(config);
  return given.from === undefined ? restore(config) : putBack(config, given.from, restore, terminal);
}

/** A log that ends here begins the next: under a name that brokers know already, where the newest one is not known. */
function checkGiven({ records, tiles, checkpoints, nothingKnown = false }: RestoreGiven): void {
  if (nothingKnown && checkpoints.length > 0)
    throw new Failure(exit.usage, '--nothing-known goes with no --checkpoint');
  if (records.length > 0 && tiles.length === 0 && checkpoints.length === 0)
    throw new Failure(exit.usage, '--records goes with --checkpoint', 'what no checkpoint proves is not taken');
  if (checkpoints.length === 0 && !nothingKnown)
    throw new Failure(
      exit.usage,
      'restore wants the newest --checkpoint there is',
      'a log that was rolled since the backup would be begun once more, and brokers refuse it; where none is kept: --nothing-known',
    );
}

/** Works on a copy beside the place of the config's ledger, which gets there when all is done; nothing is overwritten. */
async function putBack(
  file: ConfigFile,
  from: string,
  restore: (file: ConfigFile) => Promise<RestoredLogs>,
  terminal: Terminal,
): Promise<RestoredLogs> {
  const { kind, path } = file.config.ledger;
  if (kind !== 'sqlite' || typeof path !== 'string')
    throw new Failure(
      exit.usage,
      '--from goes with an sqlite ledger',
      `put a ${kind} ledger back with its own tools, then run this without --from`,
    );
  const target = resolve(file.folder, path);
  const source = resolve(terminal.folder, from);
  const copy = `${target}.restoring`;
  const there = [target, `${target}-wal`].find((one) => existsSync(one));
  if (there !== undefined)
    throw new Failure(exit.negative, `${shown(there)} is there already`, 'move it and its -wal aside first');
  await requirePlace(target);
  if (source === copy)
    throw new Failure(exit.usage, `--from ${shown(from)} has the name that restore works under`, 'rename it first');
  const cleared = () => Promise.all(parts.map((part) => rm(`${copy}${part}`, { force: true })));
  try {
    await cleared();
    await access(source, constants.R_OK).catch((error) => {
      throw new Failure(exit.negative, `--from ${shown(from)} ${whyUnread(error)}`);
    });
    if ((await stat(source)).isDirectory())
      throw new Failure(exit.negative, `--from ${shown(from)} is a folder`, 'name the file of the ledger in it');
    await copyTo(copy, source, from);
    if (existsSync(`${source}-wal`)) await copyTo(`${copy}-wal`, `${source}-wal`, `${from}-wal`);
    const ledger = { ...file.config.ledger, path: copy };
    const restored = await restore({ ...file, config: { ...file.config, ledger } });
    await gather(copy);
    await rename(copy, target);
    return restored;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Failure(error.code, error.message.replaceAll(copy, `--from ${shown(from)}`), error.hint);
  } finally {
    await cleared();
  }
}

/** A link would be replaced, and what it leads to, on a disk that is not mounted, be a second ledger. @throws Failure */
async function requirePlace(target: string): Promise<void> {
  if (!existsSync(dirname(target)))
    throw new Failure(exit.negative, `the folder of ${shown(target)} is not there`, 'is a disk not mounted?');
  const link = await readlink(target).catch(() => undefined);
  if (link === undefined) return;
  const hint =
    'is a disk not mounted? Where it is gone for good, remove the link, or name the file itself in the config';
  throw new Failure(exit.negative, `${shown(target)} is a link to ${shown(link)}, which is not there`, hint);
}

async function copyTo(copy: string, source: string, name: string): Promise<void> {
  await copyFile(source, copy).catch(({ code }: NodeJS.ErrnoException) => {
    throw new Failure(exit.negative, `--from ${shown(name)} cannot be copied to where the ledger is to be (${code})`);
  });
}

/** Moves all of it into the one file: a file without its write-ahead log would be believed as it is. @throws Failure */
async function gather(copy: string): Promise<void> {
  const { openDatabase } = await import('../../ledger/drivers/sqlite/file.ts');
  const connection = openDatabase(copy);
  try {
    const { busy } = connection.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get([]) as { busy: number };
    if (busy !== 0) throw new Failure(exit.negative, `${shown(copy)} is in use by another process`);
  } finally {
    connection.close();
  }
}

const parts = ['', '-wal', '-shm', '.index', '.index-wal', '.index-shm'];

/** The closed logs in a folder, oldest first, and then its own; one that was archived is such a folder itself. @throws Failure */
export async function logsIn(folder: string, terminal: Terminal): Promise<string[]> {
  if (isBucket(folder))
    throw new Failure(exit.usage, '--tiles takes a folder', `download it first: aws s3 sync ${shown(folder)} FOLDER`);
  const names = await readdir(resolve(terminal.folder, folder)).catch((error) => {
    throw new Failure(exit.negative, `--tiles ${shown(folder)} ${whyUnread(error)}`);
  });
  const found = names
    .map((name) => /^(0|[1-9][0-9]?)?(?:~([1-9][0-9]{0,8}))?$/.exec(name))
    .filter((match) => match !== null)
    .map(([name, shard = -1, generation = Number.POSITIVE_INFINITY]) => ({ name, shard: +shard, at: +generation }))
    .filter(
      ({ name, at }) =>
        at < Number.POSITIVE_INFINITY || existsSync(resolve(terminal.folder, folder, name, 'checkpoint')),
    )
    .sort((one, other) => one.shard - other.shard || (one.at < other.at ? -1 : 1));
  const logs = [...found.map(({ name }) => join(folder, name)), ...(names.includes('checkpoint') ? [folder] : [])];
  if (logs.length === 0)
    throw new Failure(exit.negative, `--tiles ${shown(folder)} has neither a checkpoint nor a ~1 in it`);
  return logs;
}

/** The backup must begin with each tree that was kept, as far as it reaches; what it lacks comes from copies, or is lost. */
async function requireClean(config: ConfigFile, notes: readonly string[], terminal: Terminal): Promise<void> {
  const readLog = () => Promise.reject(new Error('not published'));
  for (const since of roundsOf(notes)) {
    const report = await verify({ config, readLog }, since, terminal);
    // A shard may have a lockdown that the first has lost: it gets it back.
    const findings = report.findings.filter(({ code }) => code !== 'cut' && code !== 'lockdowns_differ');
    if (findings.length === 0) continue;
    terminal.out(describeReport({ ...report, findings }));
    throw new Failure(exit.negative, 'the backup does not verify, and is not taken');
  }
}

/** Of each log one at a time: several shards are read once for all of theirs. */
function roundsOf(notes: readonly string[]): readonly (readonly string[])[] {
  const rounds: Map<string, string>[] = [];
  for (const note of notes) {
    const line = note.slice(0, Math.max(0, note.indexOf('\n'))).replace(/~[0-9]+$/, '');
    const round = rounds.find((one) => !one.has(line));
    if (round === undefined) rounds.push(new Map([[line, note]]));
    else round.set(line, note);
  }
  return rounds.length === 0 ? [[]] : rounds.map((round) => [...round.values()]);
}

async function* copiesOf(
  records: readonly string[],
  tiles: readonly string[],
  tileNotes: readonly string[],
  key: string,
  terminal: Terminal,
): AsyncGenerator<CopiedEntry> {
  for (const file of records) yield* readSink(resolve(terminal.folder, file));
  for (const [at, folder] of tiles.entries())
    yield* readTiles(resolve(terminal.folder, folder), (tileNotes[at] ?? '').split('\n', 1)[0] ?? '', key);
}

/** @throws Failure for a file that has no entry as a sink writes it */
async function requireNative(file: string, terminal: Terminal): Promise<void> {
  try {
    for await (const _ of readSink(resolve(terminal.folder, file))) return;
  } catch (error) {
    throw new Failure(exit.negative, `--records ${shown(file)} ${whyUnread(error)}`);
  }
  throw new Failure(
    exit.negative,
    `--records ${shown(file)} is not a native copy: no line of it is an entry`,
    'a sink writes them with `format: native`',
  );
}

/** Lines that are no entry are passed over: a crash may have cut one, and what is missing is noticed. */
async function* readSink(file: string): AsyncGenerator<CopiedEntry> {
  for await (const line of linesIn(file)) {
    const entry = entryIn(line);
    if (entry !== undefined) yield entry;
  }
}

/** Node's own reader of lines ends one at U+2028 too (24 and later), which may stand in a text of JSON as it is. */
async function* linesIn(file: string): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of createReadStream(file, 'utf8')) {
    const lines = `${rest}${chunk}`.split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  yield rest;
}

function entryIn(line: string): CopiedEntry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!isJsonObject(value)) return undefined;
  const { log, index, record, disclosure } = value;
  if (typeof log !== 'string' || !Number.isSafeInteger(index) || !isJsonObject(record)) return undefined;
  return {
    log,
    leaf: index as number,
    record: canonicalJson(record as Json),
    disclosure: typeof disclosure === 'string' ? disclosure : null,
  };
}

async function* readTiles(folder: string, log: string, key: string): AsyncGenerator<CopiedEntry> {
  const { vkeyAs } = await import('../../ledger/tree/note.ts');
  const source = await publishedSource((path) => readFile(join(folder, path)), vkeyAs(key, log));
  const { size } = await source.head();
  for (let from = 0; from < size; from += tilePage)
    for (const { record, index } of await source.entries(from, Math.min(size, from + tilePage)))
      yield { log, leaf: index, record, disclosure: null };
}

async function readText(option: string, file: string, terminal: Terminal): Promise<string> {
  try {
    return await readFile(resolve(terminal.folder, file), 'utf8');
  } catch (error) {
    throw new Failure(exit.negative, `${option} ${shown(file)} ${whyUnread(error)}`);
  }
}

const whyUnread = (error: unknown): string =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'is not there' : 'cannot be read';

/** What was put back, what is lost, by name, and what was not believed; a line each, for each log. */
export const describeRestored = ({ logs, once_from }: RestoredLogs): string =>
  `${logs.map(describe).join('')}${once_from === undefined ? '' : `one-time tokens are refused until ${once_from}: which were spent in what is lost nobody knows\n`}`;

function describe({ added, ended, kept, known, leftOut, log }: Restored): string {
  const lost = known > kept ? `entries ${kept} to ${known - 1} of ${shown(ended)} are lost` : 'nothing known is lost';
  const unproved = leftOut > 0 ? `${leftOut} entries of the copies left out: no checkpoint proves them\n` : '';
  return `${added} entries taken from copies; ${shown(ended)} ended with ${kept} entries\n${lost}\n${unproved}${shown(log)} has begun\n`;
}
