import { deriveCheckpointSeed } from '../../keys/derive.ts';
import { openKeyRing } from '../../keys/ring.ts';
import { originOf } from '../../ledger/generation.ts';
import { mostShards, shardOrigin } from '../../ledger/log-name.ts';
import { NoteError, noteSigner, noteVerifier, vkeyAs } from '../../ledger/tree/note.ts';
import { deadlineIn } from '../../lib/deadline.ts';
import { keyBytes } from '../../lib/key-bytes.ts';
import type { Ref } from '../../lib/ref.ts';
import { openStores } from '../../stores/open.ts';
import type { ConfigFile } from '../config-file.ts';
import { exit, Failure } from '../failure.ts';
import { nodePlatform } from '../node-platform.ts';
import { shown, type Terminal } from '../terminal.ts';

const keyMs = 15_000;

/** The verifier key of a config's ledger: the pinned one, or from the signer's key, never from the log itself. @throws Failure */
export async function ledgerKey({ config, folder }: ConfigFile, terminal: Terminal): Promise<string> {
  const { ledger, broker, limits } = config;
  if (typeof ledger.key === 'string') return ledger.key;
  const platform = { ...nodePlatform(terminal, folder), log: () => {} };
  const { now } = platform;
  const { read } = openStores(config.stores, { ...platform, storeMs: limits.storeMs });
  const until = deadlineIn(keyMs, now);
  const ref = ledger.seed as Ref | undefined;
  const seed = ref === undefined ? undefined : keyBytes((await read(ref, until)).value);
  if (ref !== undefined && seed === undefined) throw new Failure(exit.negative, 'ledger.seed is not 32 bytes');
  if (seed !== undefined) return noteSigner(ledger.origin, deriveCheckpointSeed(seed)).vkey;
  const ring = await openKeyRing({ signer: broker.signer }, { ...platform, read }, until);
  if (ring.checkpointSeed === undefined) throw new Failure(exit.negative, 'this config has no checkpoint key');
  return noteSigner(ledger.origin, ring.checkpointSeed).vkey;
}

/** @throws Failure for a shard that the ledger of this config does not have */
export function checkShard({ config }: ConfigFile, shard: number | undefined): void {
  const { shards, kind } = config.ledger;
  // How many a ledger elsewhere has, its own config says.
  if (shard === undefined || kind === 'http') return;
  const count = typeof shards === 'number' && shards > 1 ? shards : undefined;
  if (count === undefined) throw new Failure(exit.usage, 'this ledger is one log', 'leave out --shard');
  if (shard >= count)
    throw new Failure(exit.usage, `this ledger is ${count} logs`, `--shard 0 to --shard ${count - 1}`);
}

/** The same keys, one a line, under the names of the logs of a shard and of a generation. @throws Failure */
export function keyOfLog(keys: string, { shard, generation }: { shard?: number; generation?: string }): string {
  if (generation !== undefined && !/^[1-9][0-9]{0,8}$/.test(generation))
    throw new Failure(exit.usage, `${JSON.stringify(generation)} is no generation`, 'a number from 1 on');
  const logOf = (origin: string) =>
    originOf(shard === undefined ? origin : shardOrigin(origin, shard), Number(generation ?? 1));
  return keys
    .trimEnd()
    .split('\n')
    .map((key) => `${vkeyAs(key, logOf(noteVerifier(key).name))}\n`)
    .join('');
}

/** @throws Failure for what is no verifier key */
export function checkKey(key: string): void {
  try {
    noteVerifier(key);
  } catch (error) {
    if (!(error instanceof NoteError)) throw error;
    const hint = 'name+hash+base64, as `hallpass ledger key` shows it, in quotes';
    throw new Failure(exit.usage, `--key ${JSON.stringify(shown(key))} is no verifier key`, hint);
  }
}

/** A shard's number as it was typed. @throws Failure */
export function shardIn(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^(0|[1-9][0-9]?)$/.test(text) && Number(text) < mostShards) return Number(text);
  throw new Failure(exit.usage, `${JSON.stringify(shown(text))} is no shard`, 'a number from 0 on, such as --shard 1');
}
