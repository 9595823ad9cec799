import { constants, createReadStream, existsSync } from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { type CopiedEntry, type Restored, RestoreError, restoreLedger } from '../ledger/restore.ts';
import { canonicalJson } from '../lib/canonical-json.ts';
import { deadlineIn } from '../lib/deadline.ts';
import { isJsonObject, type Json } from '../lib/strict-json.ts';
import { readConfigFile } from './config-file.ts';
import { exit, Failure } from './failure.ts';
import { withOwnLog } from './ledger-roll.ts';
import { publishedSource } from './ledger-tiles.ts';
import { describeReport, verify } from './ledger-verify.ts';
import { shown, type Terminal } from './terminal.ts';

/** Each commit may take this long, milliseconds. */
const restoreMs = 60_000;
const tilePage = 256;

export interface RestoreGiven {
  readonly config: string;
  /** An SQLite file, put where the config's ledger is. */
  readonly from?: string;
  /** Files of a sink's native NDJSON, oldest first. */
  readonly records: readonly string[];
  /** Folders that hold a published log. */
  readonly tiles: readonly string[];
  /** Files with a signed checkpoint each. */
  readonly checkpoints: readonly string[];
}

/** Puts a ledger back and lets it go on in its next log. @throws Failure */
export async function restoreOwnLog(given: RestoreGiven, terminal: Terminal): Promise<Restored> {
  if (given.from !== undefined) await putBack(given.config, given.from, terminal);
  const notes = await Promise.all([
    ...given.checkpoints.map((file) => readText(file, terminal)),
    ...given.tiles.map((folder) => readText(join(folder, 'checkpoint'), terminal)),
  ]);
  await requireClean(given.config, notes, terminal);
  const until = () => deadlineIn(restoreMs, terminal.now);
  return withOwnLog(given.config, terminal, async (ledger) => {
    const key = await ledger.key(until());
    const copies = copiesOf(given, notes.slice(given.checkpoints.length), key, terminal);
    return restoreLedger(ledger, { checkpoints: notes, copies }, until).catch((error) => {
      if (error instanceof RestoreError) throw new Failure(exit.negative, shown(error.message));
      throw error;
    });
  });
}

/** Copies the backup to where the config's ledger is; what lies there is never overwritten. */
async function putBack(config: string, from: string, terminal: Terminal): Promise<void> {
  const { config: settings, folder } = await readConfigFile(config, terminal);
  const { kind, path } = settings.ledger;
  if (kind !== 'sqlite' || typeof path !== 'string')
    throw new Failure(
      exit.usage,
      '--from goes with an sqlite ledger',
      `put a ${kind} ledger back with its own tools, then run this without --from`,
    );
  const target = resolve(folder, path);
  const source = resolve(terminal.folder, from);
  try {
    // The write-ahead log first: a file without its own would be believed as it is.
    if (existsSync(`${source}-wal`)) await copyFile(`${source}-wal`, `${target}-wal`, constants.COPYFILE_EXCL);
    await copyFile(source, target, constants.COPYFILE_EXCL);
  } catch (error) {
    const there = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    if (there) throw new Failure(exit.negative, `${shown(path)} is there already`, 'move it and its -wal aside first');
    throw new Failure(exit.negative, `${shown(from)} cannot be copied to ${shown(path)}`);
  }
}

/** The backup must begin with each tree that was kept, as far as it reaches; what it lacks comes from copies, or is lost. */
async function requireClean(config: string, notes: readonly string[], terminal: Terminal): Promise<void> {
  const readLog = () => Promise.reject(new Error('not published'));
  for (const since of notes.length === 0 ? [undefined] : notes) {
    const report = await verify({ config, readLog }, since, terminal);
    const findings = report.findings.filter(({ code }) => code !== 'cut');
    if (findings.length === 0) continue;
    terminal.out(describeReport({ ...report, findings }));
    throw new Failure(exit.negative, 'the backup does not verify, and is not taken');
  }
}

async function* copiesOf(
  given: RestoreGiven,
  tileNotes: readonly string[],
  key: string,
  terminal: Terminal,
): AsyncGenerator<CopiedEntry> {
  for (const file of given.records) yield* readSink(resolve(terminal.folder, file));
  for (const [at, folder] of given.tiles.entries())
    yield* readTiles(resolve(terminal.folder, folder), (tileNotes[at] ?? '').split('\n', 1)[0] ?? '', key);
}

/** Lines that are no entry are passed over: a crash may have cut one, and what is missing is noticed. */
async function* readSink(file: string): AsyncGenerator<CopiedEntry> {
  const lines = createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY });
  for await (const line of lines) {
    const entry = entryIn(line);
    if (entry !== undefined) yield entry;
  }
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
  const { vkeyAs } = await import('../ledger/note.ts');
  const source = await publishedSource((path) => readFile(join(folder, path)), vkeyAs(key, log));
  const { size } = await source.head();
  for (let from = 0; from < size; from += tilePage)
    for (const { record, index } of await source.entries(from, Math.min(size, from + tilePage)))
      yield { log, leaf: index, record, disclosure: null };
}

async function readText(file: string, terminal: Terminal): Promise<string> {
  try {
    return await readFile(resolve(terminal.folder, file), 'utf8');
  } catch {
    throw new Failure(exit.negative, `${shown(file)} cannot be read`);
  }
}

/** What was put back, and what is lost, by name. */
export function describeRestored({ added, ended, kept, known, log }: Restored): string {
  const lost = known > kept ? `entries ${kept} to ${known - 1} of ${shown(ended)} are lost` : 'nothing known is lost';
  return `${added} entries taken from copies; ${shown(ended)} ended with ${kept} entries; ${lost}; ${shown(log)} has begun\n`;
}
