import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../src/http/app.ts';
import { sqliteLedger } from '../../src/ledger/drivers/sqlite.ts';
import { parseRecord } from '../../src/ledger/records/record.ts';
import { verifyLog } from '../../src/ledger/verify/verify.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import type { LogFacts, Platform } from '../../src/lib/platform.ts';
import { ecPem } from '../keys/fixtures.ts';
import { type MemoryKms, memoryKms } from '../keys/memory-kms.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { inspectDeps } from '../support/inspect.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';
import { type RelyingParty, relyingParty } from './relying-party.ts';

const kms = vi.hoisted(() => ({ now: undefined as MemoryKms | undefined }));
vi.mock('../../src/keys/aws-kms/kms.ts', () => ({ open: () => kms.now }));

const central = 'https://ledger.test';
const edge = 'https://edge.test';
const direct = { kind: 'aws-kms', key: 'alias/hallpass', region: 'eu-west-1' };
const wrapped = { ...direct, wrapped: { path: 'keys' } };
const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

interface House {
  readonly folder: string;
  readonly ledger: OpenBroker;
  readonly party: RelyingParty;
  readonly clock: { at: number };
  readonly log: { readonly event: string; readonly facts: LogFacts }[];
  readonly token: (audience?: string) => string;
  /** An instance of a broker whose ledger this is. */
  instance(name: string): Promise<OpenBroker>;
  restart(): Promise<OpenBroker>;
  sessions(): Promise<number>;
}

/** A central ledger whose signer is a KMS, a store that takes its assertions, and brokers beside it. */
async function house(signer: object): Promise<House> {
  const { folder, remove } = temporaryFolder();
  endings.push(async () => remove());
  const clock = { at: Date.now() };
  const now = () => clock.at;
  const log: { event: string; facts: LogFacts }[] = [];
  const workloads = testIssuer('https://issuer.test', central, now);
  const env = {
    KEY_SEED: randomBytes(32).toString('hex'),
    KEY_SECRET: randomBytes(32).toString('hex'),
    KEY_EDGE: ecPem(),
  };
  const soon = () => deadlineIn(10_000, now);
  const party = relyingParty(async () => (await ledger.deployment.keys(soon())).assertions, now);
  const platform: Partial<Platform> = {
    ...nodeIo(folder),
    now,
    env,
    fetch: (to, init) =>
      to.startsWith(central) ? Promise.resolve(app.fetch(new Request(to, init))) : party.fetch(to, init),
    log: (_, event, facts = {}) => void log.push({ event, facts }),
  };
  const common = {
    issuers: { ci: { issuer: workloads.url, jwks: workloads.jwks, audience: central } },
    stores: {
      vars: { kind: 'env', prefix: 'KEY_' },
      bao: { kind: 'vault', address: party.url, role: 'hallpass', cache: '0' },
    },
    credentials: {
      'stripe-key': { kind: 'secret', store: 'bao', name: 'stripe' },
      partner: { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m' },
    },
  };
  const secret = { store: 'vars', name: 'SECRET' };
  const workload = {
    name: 'all',
    identity: { issuer: 'ci', subject: 'svc:*' },
    may: ['stripe-key', 'partner'],
    ttl: '10m',
  };
  const edgeKey = { kind: 'local', key: { store: 'vars', name: 'EDGE' } };
  const { publicJwk } = (await import('../../src/keys/private-key.ts')).parsePrivateKey(env.KEY_EDGE);
  const config = {
    ...common,
    broker: { url: central, signer, secret },
    ledger: { kind: 'sqlite', path: 'ledger.db', seed: { store: 'vars', name: 'SEED' } },
    issuers: { ...common.issuers, edge: { issuer: edge, jwks: { keys: [publicJwk] } } },
    roles: { writer: { ledger: 'append', mint: ['bao', 'partner'] } },
    grants: [workload, { name: 'edge', identity: { issuer: 'edge', subject: 'broker' }, may: ['writer'] }],
  };
  const restart = async () => openBroker(config, folder, platform);
  const ledger = await restart();
  endings.push(() => ledger.deployment.close());
  const app = createApp(ledger.deployment, {
    ...platform,
    runtime: 'node',
    random: randomBytes,
    instance: 'c',
  } as Platform);
  const key = await ledger.deployment.ledger.key(soon());
  return {
    folder,
    ledger,
    party,
    clock,
    log,
    restart,
    token: (aud = central) => workloads.token({ aud }),
    instance: (instance) =>
      openBroker(
        {
          ...common,
          issuers: { ci: { issuer: workloads.url, jwks: workloads.jwks } },
          broker: { url: edge, signer: edgeKey, secret },
          ledger: { kind: 'http', url: central, key },
          grants: [workload],
        },
        folder,
        { ...platform, instance },
      ),
    async sessions() {
      const entries = (await ledger.deployment.ledger.reader?.list({ type: 'session', limit: 1000 }, soon())) ?? [];
      return entries.map(({ record }) => parseRecord(record)).filter(({ store }) => store === 'bao').length;
    },
  };
}

/** A thousand issuances over twenty instances. */
async function issueAll({ instance, token }: House): Promise<void> {
  const instances = await Promise.all(Array.from({ length: 20 }, (_, n) => instance(`edge-${n}`)));
  for (const one of instances) {
    const answers = await Promise.all(
      Array.from(
        { length: 50 },
        async (_, n) => (await one.ask(`/v1/credentials/${n % 2 ? 'stripe-key' : 'partner'}`, token(edge))).status,
      ),
    );
    expect(new Set(answers)).toEqual(new Set([200]));
  }
}

describe('calls to a KMS', () => {
  it('are one a session where it signs: a thousand issuances over twenty instances make twenty', async () => {
    kms.now = memoryKms();
    const at = await house(direct);
    at.party.ttl = 3600;
    await issueAll(at);
    expect(await at.sessions()).toBe(20);
    expect(kms.now.calls).toEqual({ versions: 1, sign: 20, encrypt: 0, decrypt: 0, rotate: 0 });
  });

  it('are one a start where it sealed the keys, whatever is issued', async () => {
    kms.now = memoryKms();
    const at = await house(wrapped);
    at.party.ttl = 3600;
    await issueAll(at);
    expect(kms.now.calls).toEqual({ versions: 0, sign: 0, encrypt: 1, decrypt: 1, rotate: 0 });
    const again = await at.restart();
    endings.push(() => again.deployment.close());
    expect(kms.now.calls).toMatchObject({ encrypt: 1, decrypt: 2 });
  });

  it('stay the same an hour long while nothing is issued, whoever asks for the keys', async () => {
    kms.now = memoryKms();
    const at = await house(direct);
    for (let half = 0; half < 120; half++) {
      at.clock.at += 30_000;
      await at.ledger.deployment.recover(deadlineIn(5_000, () => at.clock.at));
      for (let n = 0; n < 20; n++) await at.ledger.ask('/.well-known/jwks.json', 'none', 'GET');
    }
    expect(kms.now.calls.sign).toBe(0);
    expect(kms.now.calls.versions).toBeLessThanOrEqual(13);
  });
});

describe('a KMS that is down', () => {
  it('leaves what was opened as it is, and is why whatever needs it says 503', async () => {
    kms.now = memoryKms();
    const at = await house(direct);
    const issue = (name: string) => at.ledger.ask(`/v1/credentials/${name}`, at.token());
    expect((await issue('stripe-key')).status).toBe(200);
    kms.now.fault = 'unreachable';
    expect((await issue('stripe-key')).status).toBe(200);
    expect((await issue('partner')).status).toBe(200);
    expect((await at.ledger.ask('/.well-known/jwks.json', '', 'GET')).status).toBe(200);

    at.clock.at += 61_000;
    const refused = await issue('stripe-key');
    expect(refused.status).toBe(503);
    const problem = await refused.text();
    expect(JSON.parse(problem)).toMatchObject({ code: 'ledger_unavailable' });
    expect(problem).not.toMatch(/kms|memory|fault/i);
    expect(at.log.find(({ event }) => event === 'mint_failed')?.facts).toMatchObject({
      reason: 'kms_unreachable',
      step: 'sign',
    });
    expect((await issue('partner')).status).toBe(200);

    kms.now.fault = undefined;
    expect((await issue('stripe-key')).status).toBe(200);
    const { inspect } = await sqliteLedger.load();
    const inspection = await inspect?.({ kind: 'sqlite', path: 'ledger.db' }, inspectDeps(at.folder));
    expect(inspection && (await verifyLog(inspection.source, { needIntent: new Set() })).findings).toEqual([]);
    await inspection?.close();
  });

  it('stops a start that would have to open keys, and says that it is the KMS', async () => {
    kms.now = memoryKms();
    const at = await house(wrapped);
    kms.now.fault = 'denied';
    await expect(at.restart()).rejects.toThrow('broker.signer: the KMS gave no key (kms_denied)');
    kms.now.fault = undefined;
    const again = await at.restart();
    endings.push(() => again.deployment.close());
  });
});
