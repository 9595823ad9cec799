import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { Miniflare, type Response as WorkerdResponse } from 'miniflare';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ObjectNamespace } from '../../../src/ledger/drivers/durable-object/open.ts';
import { durableObjectLedger } from '../../../src/ledger/drivers/durable-object.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import type { LedgerRecord, RecordText } from '../../../src/ledger/records/record.ts';
import type { Mint } from '../../../src/lib/mint.ts';
import type { Platform } from '../../../src/lib/platform.ts';
import { type LedgerGiven, ledgerContract } from '../../contracts/ledger.ts';
import { asking, clockAt, otherWriter, random, scribe, soon, writer } from '../fixtures.ts';

let workerd: Miniflare;
let script: string;
let sign: (mint: Mint) => Promise<string> | string = () => 'signed.token.here';
const kept = mkdtempSync(join(tmpdir(), 'hallpass-objects-'));

const start = () =>
  new Miniflare({
    modules: true,
    script,
    compatibilityDate: '2026-04-01',
    compatibilityFlags: ['nodejs_compat'],
    durableObjects: { LEDGER: { className: 'Ledger', useSQLite: true } },
    durableObjectsPersist: kept,
    serviceBindings: {
      SIGN: async (request: { json(): Promise<unknown> }) => {
        const { Response } = await import('miniflare');
        try {
          return new Response(await sign((await request.json()) as Mint));
        } catch {
          return new Response(null, { status: 500 });
        }
      },
    },
  });

beforeAll(async () => {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, 'object-worker.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'neutral',
    target: 'es2024',
    external: ['node:*', 'cloudflare:*'],
  });
  script = outputFiles[0]?.text as string;
  workerd = start();
  await workerd.ready;
});
afterAll(async () => {
  await workerd.dispose();
  rmSync(kept, { recursive: true });
});

type Given = Pick<LedgerGiven, 'now' | 'checkpointKey' | 'origin' | 'writer' | 'minter'>;

/** One object of its own, and the binding a handler would have of it. `detour` sends calls elsewhere in the object. */
function objectFor({ now, checkpointKey, origin, writer, minter }: Given, name = `object-${random(8).join('-')}`) {
  const allowed = () => {
    try {
      minter.check({} as never, {}, {} as never);
      return true;
    } catch {
      return false;
    }
  };
  let detour: string | undefined;
  const send = (url: string, init: RequestInit = {}): Promise<WorkerdResponse> => {
    const told = { now: now(), allowed: allowed(), given: { origin, writer, seed: [...checkpointKey] } };
    const headers = { 'x-object': name, 'x-test': JSON.stringify(told) };
    return workerd.dispatchFetch(url, { ...init, headers } as never);
  };
  // Calls may overtake each other on their way; what a test sends after a lockdown has to come after it.
  let lockdown: Promise<unknown> = Promise.resolve();
  const call = (url: string, init: RequestInit): Promise<WorkerdResponse> => {
    const sent = lockdown.then(() => send(url, init));
    if (String(init.body).includes('\\"type\\":\\"lockdown\\"')) lockdown = sent.catch(() => {});
    return sent;
  };
  const namespace: ObjectNamespace = {
    idFromName: (of) => of,
    get: () => ({ fetch: (url, init) => call(detour ?? url, init) as unknown as Promise<Response> }),
  };
  return {
    namespace,
    send,
    to: (path?: string) => {
      detour = path === undefined ? undefined : `https://object.invalid${path}`;
    },
    reset: () => send('https://object.invalid/reset').catch(() => {}),
  };
}

async function openHandlersSide(namespace: unknown, { now, origin, writer }: Given): Promise<Ledger> {
  const platform: Platform = {
    runtime: 'workerd',
    now,
    random,
    fetch: () => Promise.reject(new Error('no network')),
    log: () => {},
    env: {},
    bindings: { LEDGER: namespace },
    instance: 'test',
  };
  const { open } = await durableObjectLedger.load();
  return open({ kind: 'durable-object', binding: 'LEDGER' }, { platform, origin, writer });
}

ledgerContract('durable-object', async (given) => {
  sign = (mint) => given.minter.sign(mint, {} as LedgerRecord, soon());
  const object = objectFor(given);
  const ledger = await openHandlersSide(object.namespace, given);
  await ledger.ready(soon());
  return {
    ledger,
    async restart() {
      await object.reset();
      return openHandlersSide(object.namespace, given);
    },
    end: async () => {},
  };
});

describe('a ledger in a Durable Object', () => {
  const clock = clockAt(Date.now());
  const write = scribe(clock);
  const given: Given = {
    now: () => clock.at,
    checkpointKey: new Uint8Array(32).fill(7),
    origin: 'pass.example.com/ledger',
    writer,
    minter: { check: () => {}, sign: async () => 'signed.token.here' },
  };
  const issue = (ledger: Ledger, ms?: number) => ledger.append(asking(write.issuance(write.id())), soon(ms));

  test.each<[string, string, string]>([
    ['hangs', '/hang', 'timeout'],
    ['throws', '/fail', 'garbage'],
    ['is reset', '/reset', 'garbage'],
    ['answers garbage', '/garbage', 'garbage'],
  ])('that %s is ledger_unavailable by the deadline, and well right after', async (_, path, reason) => {
    const object = objectFor(given);
    const ledger = await openHandlersSide(object.namespace, given);
    await issue(ledger);
    object.to(path);
    const started = Date.now();
    await expect(issue(ledger, 400)).rejects.toMatchObject({ code: 'ledger_unavailable', reason });
    expect(Date.now() - started).toBeLessThan(1_500);
    object.to();
    await expect(issue(ledger)).resolves.toMatchObject({ minted: [null] });
  });

  test('whose tables fail is ledger_unavailable, and well once they are mended', async () => {
    const object = objectFor(given);
    const ledger = await openHandlersSide(object.namespace, given);
    await issue(ledger);
    const run = (sql: string) => object.send(`https://object.invalid/break?sql=${encodeURIComponent(sql)}`);
    await run('ALTER TABLE checkpoints RENAME TO gone');
    await expect(issue(ledger)).rejects.toMatchObject({ code: 'ledger_unavailable', reason: 'sql_failed' });
    await run('ALTER TABLE gone RENAME TO checkpoints');
    const { receipts } = await issue(ledger);
    // The append that failed left nothing behind: one policy record and two issuances.
    expect(receipts[0]?.index).toBe(2);
  });

  test('keeps its log and its key when workerd itself is started again', async () => {
    const object = objectFor(given, 'kept');
    const first = await issue(await openHandlersSide(object.namespace, given));
    const key = await (await object.send('https://object.invalid/signer')).json();
    await workerd.dispose();
    workerd = start();
    const ledger = await openHandlersSide(object.namespace, given);
    const second = await issue(ledger);
    expect(second.receipts[0]?.index).toBe((first.receipts[0]?.index ?? 0) + 1);
    expect(await (await object.send('https://object.invalid/signer')).json()).toEqual(key);
  });

  test('is not opened under another origin than its own', async () => {
    const object = objectFor(given, 'origin');
    await issue(await openHandlersSide(object.namespace, given));
    await object.reset();
    const other = { ...given, origin: 'other.example.com/ledger' };
    const ledger = await openHandlersSide(objectFor(other, 'origin').namespace, other);
    await expect(issue(ledger)).rejects.toMatchObject({ code: 'ledger_unavailable', reason: 'object_failed' });
  });

  test('is believed only under the key it showed first', async () => {
    const object = objectFor(given);
    const other = objectFor({ ...given, checkpointKey: new Uint8Array(32).fill(8) });
    let now = object;
    const ledger = await openHandlersSide(
      { idFromName: (name: string) => name, get: (id: unknown) => now.namespace.get(id) },
      given,
    );
    await issue(ledger);
    now = other;
    await expect(issue(ledger)).rejects.toMatchObject({ code: 'ledger_unavailable', reason: 'receipt_key' });
    now = object;
    await expect(issue(ledger)).resolves.toMatchObject({ minted: [null] });
  });

  test('reads: checkpoint, list, story with proofs, tiles and bundles', async () => {
    const ledger = await openHandlersSide(objectFor(given).namespace, given);
    const id = write.id();
    await ledger.append(asking(write.intent(id), write.issuance(id)), soon());
    const { reader } = ledger;
    expect(await reader?.checkpoint(soon())).toMatch(/^pass\.example\.com\/ledger\n3\n/);
    expect((await reader?.list({ limit: 2 }, soon()))?.map(({ index }) => index)).toEqual([2, 1]);
    expect((await reader?.story(id, soon()))?.map(({ proof }) => proof.split('\n')[1])).toEqual(['index 1', 'index 2']);
    expect((await reader?.tile(0, 0, 3, soon()))?.length).toBe(96);
    expect(await reader?.tile(0, 1, 256, soon())).toBeUndefined();
    expect((await reader?.bundle(0, 3, soon()))?.length).toBeGreaterThan(300);
  });

  test('is asked for what it publishes once a minute, however often others ask', async () => {
    const calls: string[] = [];
    const { namespace } = objectFor(given);
    const get = (id: unknown) => ({
      fetch(url: string, init: RequestInit) {
        calls.push(new URL(url).pathname);
        return namespace.get(id).fetch(url, init);
      },
    });
    const ledger = await openHandlersSide({ idFromName: (name: string) => name, get }, given);
    for (let ask = 0; ask < 3; ask++) expect(await ledger.keys(soon())).toEqual({ assertions: [] });
    for (let ask = 0; ask < 3; ask++) expect(await ledger.key(soon())).toContain(given.origin);
    expect(calls).toEqual(['/keys', '/key']);
    clock.at += 60_000;
    await ledger.keys(soon());
    expect(calls).toEqual(['/keys', '/key', '/keys']);
  });

  test('takes from another writer what such a writer may write, whatever its caller says of its rights', async () => {
    const theirs = scribe(clock, otherWriter);
    const rights = { name: otherWriter.name, types: ['lockdown', 'intent'], mint: [] };
    const accept = async (entry: RecordText) => {
      const body = JSON.stringify({ left: 5_000, arguments: [asking(entry), rights] });
      return (await objectFor(given, 'rights').send('https://object.invalid/accept', { method: 'POST', body })).json();
    };
    expect(await accept(theirs.lockdown('add', 'all', 1))).toMatchObject({ refusal: { reason: 'type_not_allowed' } });
    expect(await accept(theirs.intent(theirs.id()))).toMatchObject({ value: { minted: [null] } });
  });

  test('makes one signing key and keeps it', async () => {
    const object = objectFor(given);
    const keys = await Promise.all([1, 2].map(async () => (await object.send('https://object.invalid/signer')).json()));
    expect(keys[0]).toEqual(keys[1]);
    expect(keys[0]).toMatchObject({ kty: 'EC', crv: 'P-256', d: expect.any(String) });
  });

  test('cannot be opened without its binding', async () => {
    await expect(openHandlersSide(undefined, given)).rejects.toThrow('no Durable Object namespace is bound as LEDGER');
  });
});
