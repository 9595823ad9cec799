import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Platform } from './platform.ts';

const maxFileBytes = 1024 * 1024;

/** What Node and Lambda give beside the web's own: files, and TLS that trusts named certificates only. */
export function nodeIo(folder: string): Required<Pick<Platform, 'fetch' | 'fetchTrusting' | 'readFile'>> {
  return {
    fetch: (url, init) => fetch(url, init),
    // Few deployments pin a certificate, and node:https takes its time to load.
    fetchTrusting: async (ca) => (await import('./pinned-fetch.ts')).fetchTrusting(ca),
    readFile: (path) => readSmallFile(resolve(folder, path)),
  };
}

/** @throws Error when there is none, or it is larger than a token or a key set can be */
async function readSmallFile(path: string): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const bytes = Buffer.alloc(maxFileBytes + 1);
    let size = 0;
    for (;;) {
      const { bytesRead } = await file.read(bytes, size, bytes.length - size);
      if (bytesRead === 0) return Uint8Array.from(bytes.subarray(0, size));
      size += bytesRead;
      if (size > maxFileBytes) throw new Error('the file is too large');
    }
  } finally {
    await file.close();
  }
}
