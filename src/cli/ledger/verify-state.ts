import { constants } from 'node:fs';
import { access, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { mostShards } from '../../ledger/log-name.ts';
import type { VerifyState } from '../../ledger/verify/verify.ts';
import { codeOf } from '../../lib/durable-file.ts';
import { exit, Failure } from '../failure.ts';
import { shown, type Terminal } from '../terminal.ts';

const version = 2;
/** How often a run in progress is written down, milliseconds. */
const everyMs = 60_000;

/** Where a run of `ledger verify` stands, in a file of the verifier's own that the next run goes on from. */
export interface StateFile {
  readonly from: VerifyState | undefined;
  readonly keep: (state: () => VerifyState, last: boolean) => Promise<void>;
}

/** The state of one log of a ledger lies in this file; `shard`: undefined where it has one log. */
export const stateFileOf = (name: string, shard: number | undefined): string =>
  shard === undefined ? name : `${name}.${shard}`;

/** Before anything is read: what a long run came to would be lost. @throws Failure */
export async function requireStateFolder(name: string, terminal: Terminal): Promise<void> {
  await access(dirname(resolve(terminal.folder, name)), constants.W_OK).catch((error) => {
    const what = codeOf(error) === 'ENOENT' ? 'is not there' : 'cannot be written to';
    throw new Failure(exit.negative, `the folder of --resume ${shown(name)} ${what}`);
  });
}

/**
 * Whoever serves a log says how many shards it has, and the number stays: files of a run that read other logs than are there
 * are told.
 *
 * @throws Failure
 */
export async function refuseOtherShards(name: string, shards: number | undefined, terminal: Terminal): Promise<void> {
  const isThere = (file: string) =>
    access(resolve(terminal.folder, file)).then(
      () => true,
      () => false,
    );
  const others = Array.from({ length: mostShards }, (_, shard) => shard).filter((shard) => shard >= (shards ?? 0));
  for (const shard of shards === undefined ? others : [...others, undefined]) {
    const file = stateFileOf(name, shard);
    if (!(await isThere(file))) continue;
    const read = shard === undefined ? 'a ledger of one log' : `shard ${shard}`;
    const problem = `the run that wrote ${shown(file)} read ${read}, and ${shards ?? 'no'} shards are there now`;
    throw new Failure(
      exit.negative,
      problem,
      'a ledger keeps its number of shards: one was left out, or this is another',
    );
  }
}

/** @throws Failure for a file that is there and is none of ours */
export async function openStateFile(name: string, terminal: Terminal): Promise<StateFile> {
  const path = resolve(terminal.folder, name);
  let kept = terminal.now();
  return {
    from: await read(path, name),
    async keep(state, last) {
      if (!last && terminal.now() - kept < everyMs) return;
      kept = terminal.now();
      // By rename, so that a run that is killed leaves the one before it.
      await writeFile(`${path}.new`, serialize({ version, state: state() }), { mode: 0o600 });
      await rename(`${path}.new`, path);
    },
  };
}

async function read(path: string, name: string): Promise<VerifyState | undefined> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new Failure(exit.negative, `${shown(name)} cannot be read`);
  });
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = deserialize(bytes);
    if (typeof value === 'object' && value !== null && 'version' in value && 'state' in value)
      if (value.version === version) return value.state as VerifyState;
  } catch {}
  throw new Failure(exit.negative, `${shown(name)} is not the state of a run`, 'remove it to verify from the start');
}
