import { open, readFile, rename } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { equalBytes, toHex, toUtf8 } from '../../lib/bytes.ts';
import { codeOf, createFile, makeFolder, syncFolder } from '../../lib/durable-file.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import type { FileConfig } from '../file.ts';
import { ndjson } from '../formats/index.ts';
import { otherCheckpoint, shortHash } from '../other.ts';
import { step } from '../post.ts';
import type { Sink, SinkDeps } from '../sink.ts';

/** As many as a ledger has shards. */
const mostWaiting = 64;

/** Appends whole lines and syncs them. A line that a crash cut short is left alone, and comes again as a whole one. */
export function openFile(config: FileConfig, deps: Pick<SinkDeps, 'folder' | 'now' | 'random'>): Sink {
  const path = resolve(deps.folder ?? '.', config.path);

  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;

  /** Folders in which a name that was found is durable: who made it may have been killed before. */
  const settled = new Set<string>();
  async function settle(folder: string): Promise<void> {
    if (settled.has(folder)) return;
    await syncFolder(folder);
    settled.add(folder);
  }

  /** One after the other: the logs of a sharded ledger come side by side. */
  async function inTurn(work: () => Promise<void>): Promise<void> {
    if (waiting >= mostWaiting) throw new UpstreamError('slow', { step, reason: 'disk_hangs' });
    waiting++;
    const turn = last.then(work).finally(() => {
      waiting--;
    });
    last = turn.catch(() => {});
    return turn;
  }

  async function append(text: string): Promise<void> {
    await putAside();
    const file = await open(path, 'a+', 0o600);
    try {
      const { size } = await file.stat();
      const torn = size > 0 && (await file.read(Buffer.alloc(1), 0, 1, size - 1)).buffer[0] !== 0x0a;
      await file.appendFile(torn ? `\n${text}` : text);
      await file.sync();
      if (size === 0) await syncFolder(dirname(path));
      else await settle(dirname(path));
    } finally {
      await file.close();
    }
  }

  /** Under the time it was last written at, and a name that no other process takes. */
  async function putAside(): Promise<void> {
    const { rotate } = config;
    if (rotate === undefined) return;
    const file = await open(path, 'r').catch(unlessAbsent);
    if (file === undefined) return;
    const { size, mtimeMs } = await file.stat().finally(() => file.close());
    const old = rotate === 'daily' ? dayOf(mtimeMs) !== dayOf(deps.now()) : size >= rotate;
    if (!old || size === 0) return;
    const aside = `${path}.${new Date(mtimeMs).toISOString().replace(/[:.]/g, '-')}-${toHex(deps.random(2))}`;
    await rename(path, aside).catch(unlessAbsent);
    await syncFolder(dirname(path));
  }

  /** false: another lies there under its name, and this one is kept beside it. */
  async function keep(log: string, name: string, note: Uint8Array): Promise<boolean> {
    const folder = join(path, fileName(log));
    await makeFolder(path);
    await makeFolder(folder);
    for (const above of [dirname(path), path]) await settle(above);
    const target = join(folder, name);
    if (await createFile(target, note, deps.random)) return true;
    await syncFolder(folder);
    if (equalBytes(await readFile(target), note)) return true;
    await createFile(`${target}-${shortHash(note)}`, note, deps.random);
    return false;
  }

  return {
    deliver: (entries) => inTurn(() => append(ndjson(config.format, entries)).catch(told)),
    async publish({ log, size, note }) {
      if (await keep(log, String(size), toUtf8(note)).catch(told)) return undefined;
      throw otherCheckpoint();
    },
  };
}

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** An origin as one name that leads nowhere else. */
const fileName = (origin: string): string => encodeURIComponent(origin).replace(/^\./, '%2E');

function unlessAbsent(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}

const reasons: Readonly<Record<string, string>> = { ENOSPC: 'disk_full', EACCES: 'not_writable', ENOENT: 'no_folder' };

function told(cause: unknown): never {
  throw new UpstreamError('unreachable', { step, reason: reasons[codeOf(cause) ?? ''] ?? 'file_failed', cause });
}
