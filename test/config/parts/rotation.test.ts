import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openKeyFolder } from '../../../src/keys/key-folder.ts';
import type { SigningKey } from '../../../src/keys/keys.ts';
import { sqliteLedger } from '../../../src/ledger/drivers/sqlite.ts';
import { type LedgerRecord, parseRecord } from '../../../src/ledger/records/record.ts';
import { verifyLog } from '../../../src/ledger/verify/verify.ts';
import { deadlineIn } from '../../../src/lib/deadline.ts';
import { nodeIo } from '../../../src/lib/node-io.ts';
import { Refusal } from '../../../src/lib/refusal.ts';
import { type MemoryKms, memoryKms } from '../../keys/memory-kms.ts';
import { type OpenBroker, openBroker } from '../../support/broker.ts';
import { embeddedConfig } from '../../support/config.ts';
import { inspectDeps } from '../../support/inspect.ts';
import { testIssuer } from '../../support/issuer.ts';
import { temporaryFolder } from '../../support/server.ts';
import { type RelyingParty, relyingParty } from '../relying-party.ts';

const kms = vi.hoisted(() => ({ now: undefined as MemoryKms | undefined }));
vi.mock('../../../src/keys/aws-kms/kms.ts', () => ({ open: () => kms.now }));

const minute = 60_000;
const random = (bytes: number) => new Uint8Array(randomBytes(bytes));
const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

interface House {
  readonly folder: string;
  readonly processes: OpenBroker[];
  readonly party: RelyingParty;
  readonly clock: { at: number };
  open(more?: Record<string, unknown>): Promise<OpenBroker>;
  issue(process: OpenBroker, credential?: string): Promise<Response>;
  /** The JWKS as that process publishes it. */
  jwks(process: OpenBroker, path?: string): Promise<readonly Record<string, unknown>[]>;
  /** Of keys that rotate, oldest first. */
  keyRecords(): Promise<readonly LedgerRecord[]>;
  refresh(process: OpenBroker): Promise<void>;
}

/** Processes on one log, a clock that stands until it is moved, and a relying party whose logins last a minute. */
async function house(broker: Record<string, unknown>, url = 'https://pass.test'): Promise<House> {
  const { folder, remove } = temporaryFolder();
  endings.push(async () => remove());
  const clock = { at: Date.now() };
  const now = () => clock.at;
  const issuer = testIssuer('https://issuer.test', url, now);
  const env = { KEY_SEED: randomBytes(32).toString('hex'), KEY_SECRET: randomBytes(32).toString('hex') };
  let turn = 0;
  const processes: OpenBroker[] = [];
  const party = relyingParty(() => jwks(processes[turn++ % processes.length] as OpenBroker), now);

  async function jwks({ deployment }: OpenBroker, path: 'assertions' | 'workloads' = 'assertions') {
    return (await deployment.keys(soon()))[path] ?? [];
  }
  const soon = () => deadlineIn(10_000, now);
  const config = (more: Record<string, unknown>) => {
    const embedded = embeddedConfig(folder, issuer);
    return {
      ...embedded,
      broker: { url, secret: { store: 'vars', name: 'SECRET' }, ...broker, ...more },
      ledger: { ...(embedded.ledger as object), seed: { store: 'vars', name: 'SEED' } },
      stores: {
        vars: { kind: 'env', prefix: 'KEY_' },
        bao: { kind: 'vault', address: party.url, role: 'hallpass', cache: '0' },
      },
      credentials: {
        'stripe-key': { kind: 'secret', store: 'bao', name: 'stripe' },
        partner: { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m' },
      },
    };
  };
  return {
    folder,
    processes,
    party,
    clock,
    async open(more = {}) {
      const instance = `process-${processes.length}`;
      const platform = { ...nodeIo(folder), now, env, fetch: party.fetch, instance };
      const process = await openBroker(config(more), folder, platform);
      endings.push(() => process.deployment.close());
      processes.push(process);
      return process;
    },
    issue: (process, credential = 'stripe-key') => process.ask(`/v1/credentials/${credential}`, issuer.token()),
    jwks: (process, path = 'assertions') => jwks(process, path as 'assertions'),
    async keyRecords() {
      const reader = processes[0]?.deployment.ledger.reader;
      const entries = (await reader?.list({ type: 'key', limit: 100 }, soon())) ?? [];
      return entries
        .map(({ record }) => parseRecord(record))
        .filter(({ purpose }) => purpose === 'assertions')
        .reverse();
    },
    refresh: ({ deployment }) => deployment.recover(soon()),
  };
}

/** Half a minute after half a minute: everybody issues, then everybody looks for keys. */
async function run(at: House, minutes: number, seen: (sizes: readonly number[]) => void = () => {}): Promise<void> {
  for (let half = 0; half < minutes * 2; half++) {
    at.clock.at += minute / 2;
    for (const process of at.processes) {
      const answers = await Promise.all([at.issue(process), at.issue(process)]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
      await at.refresh(process);
    }
    seen(await Promise.all(at.processes.map(async (process) => (await at.jwks(process)).length)));
  }
}

const states = (records: readonly LedgerRecord[]) => records.map(({ kid, state }) => `${state} ${kid}`);

describe('keys that rotate under load', () => {
  it('refuse no token in between, at a relying party that keeps a JWKS for its max-age, with three processes', async () => {
    const at = await house({ signer: { kind: 'local', path: 'keys' } });
    for (let n = 0; n < 3; n++) await at.open();
    const [first] = at.processes as [OpenBroker];
    await run(at, 2);
    const workloads = await at.jwks(first, 'workloads');
    const vkey = await first.deployment.ledger.key(deadlineIn(1_000, () => at.clock.at));
    const [old] = (await at.jwks(first)) as readonly [{ kid: string }];

    const keys = openKeyFolder(at.folder, 'keys', { random, now: () => at.clock.at });
    await keys.rotate?.(deadlineIn(1_000, Date.now));
    const next = (await keys.keys(deadlineIn(1_000, Date.now)))[0] as SigningKey;
    const most: number[] = [];
    await run(at, 20, (sizes) => most.push(...sizes));

    expect(at.party.refused).toEqual([]);
    expect(at.party.logins).toBeGreaterThan(30);
    expect(Math.max(...most)).toBe(2);
    expect(states(await at.keyRecords())).toEqual([`begin ${old.kid}`, `begin ${next.kid}`, `end ${old.kid}`]);
    const [, begin, end] = await at.keyRecords();
    // Announced for ten minutes, then five of a token's life and one of skew.
    const apart = Date.parse(String(end?.time)) - Date.parse(String(begin?.time));
    expect(apart).toBeGreaterThanOrEqual(16 * minute);
    expect(apart).toBeLessThanOrEqual(17 * minute);
    for (const process of at.processes) expect(await at.jwks(process)).toMatchObject([{ kid: next.kid }]);
    expect(readdirSync(join(at.folder, 'keys'))).toEqual(['es256-2.pem']);
    expect(await at.jwks(first, 'workloads')).toEqual(workloads);
    expect(await first.deployment.ledger.key(deadlineIn(1_000, () => at.clock.at))).toBe(vkey);
  });

  it('may rotate again and again: one beginning and one end each, and the log still verifies', async () => {
    const at = await house({ signer: { kind: 'aws-kms', key: 'alias/hallpass', region: 'eu-west-1' } });
    kms.now = memoryKms();
    for (let n = 0; n < 2; n++) await at.open();
    await run(at, 1);
    const most: number[] = [];
    for (let round = 0; round < 2; round++) {
      await kms.now.rotate?.(deadlineIn(1_000, Date.now));
      await run(at, 24, (sizes) => most.push(...sizes));
    }
    expect(at.party.refused).toEqual([]);
    expect(Math.max(...most)).toBeLessThanOrEqual(4);
    const records = states(await at.keyRecords());
    expect(records).toHaveLength(5);
    expect(new Set(records)).toHaveProperty('size', 5);
    expect(records.filter((state) => state.startsWith('end'))).toHaveLength(2);
    const { inspect } = await sqliteLedger.load();
    const inspection = await inspect?.({ kind: 'sqlite', path: 'ledger.db' }, inspectDeps(at.folder));
    expect(inspection && (await verifyLog(inspection.source, { needIntent: new Set() })).findings).toEqual([]);
    await inspection?.close();
  });

  it('announce the next key of a log that has no record yet, and record no first key for its own sake', async () => {
    const at = await house({ signer: { kind: 'local', path: 'keys' } });
    const [only] = [await at.open(), await at.open()];
    const refreshAll = () => Promise.all(at.processes.map(at.refresh));
    for (let n = 0; n < 2; n++) await refreshAll();
    expect(await at.keyRecords()).toEqual([]);
    const [old] = (await at.jwks(only)) as readonly [{ kid: string }];

    const keys = openKeyFolder(at.folder, 'keys', { random, now: () => at.clock.at });
    await keys.rotate?.(deadlineIn(1_000, Date.now));
    const next = (await keys.keys(deadlineIn(1_000, Date.now)))[0] as SigningKey;
    at.clock.at += minute / 2;
    await refreshAll();
    expect((await at.jwks(only)).map(({ kid }) => kid)).toEqual([old.kid, next.kid]);
    expect(states(await at.keyRecords())).toEqual([`begin ${old.kid}`, `begin ${next.kid}`]);
    await run(at, 20);
    expect(at.party.refused).toEqual([]);
    expect(states(await at.keyRecords())).toEqual([`begin ${old.kid}`, `begin ${next.kid}`, `end ${old.kid}`]);
    expect(await at.jwks(only)).toMatchObject([{ kid: next.kid }]);
  });

  it('would refuse tokens if a key signed before it was announced', async () => {
    const at = await house({ signer: { kind: 'local', path: 'keys' }, announce: '0s' }, 'http://127.0.0.1:21201');
    const only = await at.open();
    await run(at, 2);
    const keys = openKeyFolder(at.folder, 'keys', { random, now: () => at.clock.at });
    await keys.rotate?.(deadlineIn(1_000, Date.now));
    for (let half = 0; half < 4; half++) {
      at.clock.at += minute / 2;
      await at.refresh(only);
      await at.issue(only);
    }
    expect(at.party.refused).not.toEqual([]);
  });

  it('signs at once with a key that took the only one’s place, and publishes the old one from its record', async () => {
    const at = await house({ signer: { kind: 'local', path: 'keys' } });
    const before = await at.open();
    await run(at, 1);
    const [old] = await at.jwks(before);
    const after = await at.open({ signer: { kind: 'local', path: 'others' } });
    await at.refresh(after);
    const keys = await at.jwks(after);
    expect(keys).toHaveLength(2);
    expect(keys[1]).toEqual(old);
    await at.refresh(before);
    expect((await at.jwks(before)).map(({ kid }) => kid).sort()).toEqual(keys.map(({ kid }) => kid).sort());
  });

  it('is not stopped by a KMS or a folder that cannot be read: it goes on with the keys it has', async () => {
    kms.now = memoryKms();
    const at = await house({ signer: { kind: 'aws-kms', key: 'alias/hallpass', region: 'eu-west-1' } });
    const only = await at.open();
    await run(at, 1);
    kms.now.fault = 'denied';
    at.clock.at += 6 * minute;
    await at.refresh(only);
    expect(await at.jwks(only)).toHaveLength(1);
  });

  it('hold up no undoing where they cannot be asked for at all, as behind a Durable Object', async () => {
    const at = await house({ signer: { kind: 'local', path: 'keys' } });
    const { deployment } = await at.open();
    const down = () => Promise.reject(new Refusal('ledger_unavailable', 'timeout'));
    Object.assign(deployment.ledger, { refreshKeys: down });
    const pending = vi.spyOn(deployment.ledger, 'pending');
    await deployment.recover(deadlineIn(10_000, () => at.clock.at));
    expect(pending).toHaveBeenCalled();
  });
});
