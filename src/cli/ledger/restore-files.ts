import { createReadStream, existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { CopiedEntry } from '../../ledger/going-on/copies.ts';
import { canonicalJson } from '../../lib/canonical-json.ts';
import { isJsonObject, type Json } from '../../lib/strict-json.ts';
import { exit, Failure } from '../failure.ts';
import { shown, type Terminal } from '../terminal.ts';
import { isBucket } from './archive-place.ts';
import { publishedSource } from './tiles.ts';

const tilePage = 256;

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

/** Of all files that were given, one after the other: what sinks have first, with what it disclosed. */
export async function* copiesOf(
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
export async function requireNative(file: string, terminal: Terminal): Promise<void> {
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

/** @throws Failure */
export async function readText(option: string, file: string, terminal: Terminal): Promise<string> {
  try {
    return await readFile(resolve(terminal.folder, file), 'utf8');
  } catch (error) {
    throw new Failure(exit.negative, `${option} ${shown(file)} ${whyUnread(error)}`);
  }
}

export const whyUnread = (error: unknown): string =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'is not there' : 'cannot be read';
