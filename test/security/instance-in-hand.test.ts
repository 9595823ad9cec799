import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildDeployment } from '../../src/config/build.ts';
import type { Deployment } from '../../src/config/deployment.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createApp } from '../../src/http/app.ts';
import type { LedgerRecord, RecordText } from '../../src/ledger/records/record.ts';
import { encodeAppendRequest } from '../../src/ledger/wire.ts';
import type { Platform } from '../../src/lib/platform.ts';
import { instant } from '../../src/lib/time.ts';
import { clockAt, policyHash, scribe, soon } from '../ledger/fixtures.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';

// Somebody holds a broker instance at the edge: its memory, its variables and the assertion it shows its ledger. What
// can be had signed with that, at the ledger it writes to?

const ledgerUrl = 'https://ledger.test';
const edgeUrl = 'https://edge.test';
/** The stolen assertion key. */
const edge = testIssuer(edgeUrl, ledgerUrl);
const { folder, remove } = temporaryFolder();
const platform: Platform = {
  runtime: 'node',
  now: Date.now,
  random: (bytes) => randomBytes(bytes),
  fetch: () => Promise.reject(new Error('no network')),
  log: () => {},
  env: {},
  folder,
  instance: 'test',
};
const config = {
  broker: { url: ledgerUrl, signer: { kind: 'local', path: 'keys' } },
  ledger: { kind: 'sqlite', path: 'ledger.db' },
  issuers: { edge: { issuer: edgeUrl, jwks: edge.jwks } },
  credentials: {
    partner: { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m' },
    payroll: { kind: 'jwt', audience: 'https://payroll.example', ttl: '5m' },
  },
  roles: { writer: { ledger: 'append', mint: ['partner'] } },
  grants: [{ name: 'edge', identity: { issuer: 'edge', subject: 'broker' }, may: ['writer'] }],
};

let deployment: Deployment;
let app: ReturnType<typeof createApp>;
beforeAll(async () => {
  const loaded = await loadConfig(JSON.stringify(config), { file: 'test', runtime: 'node', env: {}, folder });
  deployment = await buildDeployment(loaded.config, platform);
  app = createApp(deployment, platform);
});
afterAll(async () => {
  await deployment.close();
  remove();
});

const clock = clockAt(Date.now());
const write = scribe(clock, { name: edgeUrl, instance: 'stolen', version: '0.1.0' });

interface Wish {
  readonly credential?: string;
  readonly claims?: Record<string, unknown>;
  readonly facts?: Partial<LedgerRecord>;
  readonly mint?: Record<string, unknown>;
}

/** An issuance with what is to be signed, as the broker would write it but for what is wished. */
function issuance({ credential = 'partner', claims = {}, facts = {}, mint = {} }: Wish = {}): RecordText {
  const id = write.id();
  const iat = Math.floor(clock.at / 1000);
  const ttl = 300;
  const signed = {
    iss: `${ledgerUrl}/workloads`,
    aud: 'https://api.partner.example',
    sub: 'shop:checkout',
    iat,
    nbf: iat,
    exp: iat + ttl,
    jti: id,
    ...claims,
  };
  const lease = { expiresAt: instant((iat + ttl) * 1000), ttl, revocable: false };
  return write.issuance(
    id,
    { credential, kind: 'jwt', lease, ...facts },
    { mint: { use: 'jwt', alg: 'ES256', claims: signed, ...mint } as never },
  );
}

async function append(entry: RecordText, token = edge.token({ sub: 'broker' })) {
  const response = await app.fetch(
    new Request(`${ledgerUrl}/v1/log/entries`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: encodeAppendRequest({ entries: [entry], epoch: 0, policy: policyHash }),
    }),
  );
  return { status: response.status, text: await response.text() };
}
const entries = async () => deployment.ledger.reader?.list({ limit: 1000 }, soon());

describe('a broker instance in the wrong hands', () => {
  test('gets a token signed only with its record in the ledger', async () => {
    const entry = issuance();
    const { status, text } = await append(entry);
    expect(status, text).toBe(200);
    const { receipts, minted } = JSON.parse(text);
    expect(minted).toEqual([expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/)]);
    expect(JSON.parse(Buffer.from(minted[0].split('.')[1], 'base64url').toString()).jti).toBe(
      JSON.parse(entry.record).id,
    );
    expect((await entries())?.find(({ index }) => index === receipts[0].index)?.record).toBe(entry.record);
  });

  test.each<[string, Wish]>([
    ['a credential its role does not list', { credential: 'payroll', claims: { aud: 'https://payroll.example' } }],
    ['a credential the ledger does not know', { credential: 'unknown' }],
    ['an audience that is not the credential’s', { claims: { aud: 'https://payroll.example' } }],
    ['the issuer of sessions', { claims: { iss: ledgerUrl } }],
    ['another subject than the record’s', { claims: { sub: 'shop:admin' } }],
    ['a longer life than the record’s', { claims: { exp: Math.floor(clock.at / 1000) + 86_400 } }],
    [
      'a longer life than the credential’s',
      {
        claims: { exp: Math.floor(clock.at / 1000) + 3_600 },
        facts: {
          lease: { expiresAt: instant(Math.floor(clock.at / 1000) * 1000 + 3_600_000), ttl: 3_600, revocable: false },
        },
      },
    ],
    ['an id that is not the record’s', { claims: { jti: 'another' } }],
    ['a claim the credential does not have', { claims: { admin: true } }],
    ['another algorithm', { mint: { alg: 'none' } }],
    ['a session with a store', { mint: { use: 'session' } }],
    ['a certificate', { mint: { use: 'x509', certificate: { subject: 'CN=any' } } }],
  ])('gets nothing signed for %s, and nothing is recorded as issued', async (_, wish) => {
    const before = (await entries())?.length;
    const { status, text } = await append(issuance(wish));
    expect([400, 403]).toContain(status);
    expect(JSON.parse(text).minted).toBeUndefined();
    expect((await entries())?.length).toBe(before);
  });

  test('cannot write as another broker', async () => {
    const other = scribe(clock, { name: ledgerUrl, instance: 'stolen', version: '0.1.0' });
    expect((await append(other.denial())).status).toBe(400);
  });

  test('gets nothing with the token of a workload instead of its assertion', async () => {
    expect((await append(issuance(), edge.token({ sub: 'svc:checkout' }))).status).toBe(403);
  });
});
