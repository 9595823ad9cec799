import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';
import { loadConfig } from '../../src/config/load.ts';
import { buildLedgerSide } from '../../src/config/parts/ledger-object.ts';
import { answerLedgerCalls } from '../../src/ledger/drivers/durable-object/answer.ts';
import { type ObjectStorage, signerJwk } from '../../src/ledger/drivers/durable-object/storage.ts';
import type { Platform } from '../../src/lib/platform.ts';

/** Durable Object storage as the platform gives it, over a file; `full` makes writes fail as a full object does. */
export function fileStorage(path: string, isFull: () => boolean): ObjectStorage {
  const database = new Database(path);
  const exec = (query: string, ...bindings: readonly unknown[]) => {
    const statement = database.prepare(query);
    const values = bindings.map((value) => (value instanceof Uint8Array ? Buffer.from(value) : value));
    const isRead = /^\s*(select|with|pragma)/i.test(query);
    if (isRead) return { toArray: () => statement.all(values) as Record<string, unknown>[] };
    statement.run(values);
    return { toArray: () => [] };
  };
  return {
    sql: {
      exec,
      get databaseSize() {
        const size = 'SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size';
        return (database.prepare(size).get([]) as { bytes: number }).bytes;
      },
    },
    transactionSync(work) {
      database.exec('BEGIN');
      try {
        const result = work();
        if (isFull()) throw new Error('database or disk is full');
        database.exec('COMMIT');
        return result;
      } catch (error) {
        database.exec('ROLLBACK');
        throw error;
      }
    },
    sync: async () => {},
  };
}

/** A Durable Object namespace in this process whose answers can be made bad; the object behind it is the real code. */
export function openFaultyObject(folder: string) {
  mkdirSync(folder, { recursive: true });
  let fault: string | undefined;
  let earlier: string | undefined;

  function namespace(config: unknown) {
    const serve = (name: string, storage: ObjectStorage) => {
      const platform: Platform = {
        runtime: 'workerd',
        now: Date.now,
        random: (bytes) => new Uint8Array(randomBytes(bytes)),
        fetch: () => Promise.reject(new Error('no network')),
        log: () => {},
        env: {},
        bindings: {},
        instance: name,
      };
      return answerLedgerCalls(
        async () => {
          const options = { file: 'object.json', runtime: 'workerd', env: {} } as const;
          return buildLedgerSide((await loadConfig(JSON.stringify(config), options)).config, platform, storage);
        },
        Date.now,
        () => {},
      );
    };
    const storage = fileStorage(join(folder, 'object.db'), () => fault === 'storage full');
    const forked = fileStorage(join(folder, 'fork.db'), () => false);
    const jwk = signerJwk(storage);
    signerJwk(forked);
    forked.sql.exec('UPDATE signer SET jwk = ?', JSON.stringify(jwk));
    const real = serve('object', storage);
    const fork = serve('fork', forked);
    const stranger = serve(
      'stranger',
      fileStorage(join(folder, 'stranger.db'), () => false),
    );

    const fetch = async (url: string, init: RequestInit): Promise<Response> => {
      const request = new Request(url, init);
      const isAppend = url.endsWith('/append');
      if (fault === 'throws') throw new Error('the object was reset');
      if (fault === 'hang') return new Promise(() => {});
      if (fault === '500') return new Response('upstream words', { status: 500 });
      if (fault === '200 empty') return new Response('');
      if (fault === '200 garbage') return new Response('{"value":{"receipts":[{}');
      if (fault === 'wrong key') return stranger(request);
      if (fault === 'smaller tree than seen') return fork(request);
      const text = await (await real(request)).text();
      if (!isAppend || fault === undefined) {
        if (isAppend) earlier = text;
        return new Response(text);
      }
      return new Response(changed(text));
    };
    return { idFromName: (name: string) => name, get: () => ({ fetch }) };
  }

  function changed(text: string): string {
    const answer = JSON.parse(text);
    const receipts = answer.value?.receipts;
    if (receipts === undefined) return text;
    if (fault === 'wrong leaf') return earlier ?? '';
    for (const receipt of receipts) {
      if (fault === 'truncated proof')
        receipt.proof = receipt.proof
          .split('\n')
          .filter((_: string, line: number) => line !== 2)
          .join('\n');
      if (fault === 'wrong index') {
        receipt.index += 1;
        receipt.proof = receipt.proof.replace(/index \d+/, `index ${receipt.index}`);
      }
    }
    return JSON.stringify(answer);
  }

  return {
    namespace,
    set: (name: string | undefined) => {
      fault = name;
    },
    close: async () => {},
  };
}
