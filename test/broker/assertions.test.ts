import { createPublicKey, randomBytes } from 'node:crypto';
import { compactVerify, decodeJwt } from 'jose';
import { afterAll, describe, expect, it } from 'vitest';
import { openAsserter } from '../../src/broker/assertions.ts';
import { ledgerSecrets } from '../../src/config/parts/ledger-side.ts';
import { newPrivateKey, parsePrivateKey } from '../../src/keys/private-key.ts';
import { openSqliteLedger } from '../../src/ledger/drivers/sqlite/open.ts';
import { openBook } from '../../src/ledger/erasure/book.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { openDisclosure } from '../../src/ledger/records/disclosure.ts';
import { type LedgerRecord, parseRecord, type RecordText } from '../../src/ledger/records/record.ts';
import { brokerTypes, type WriterRights } from '../../src/ledger/records/writer.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import type { Refusal } from '../../src/lib/refusal.ts';
import { writeAssertion } from '../../src/sessions/assertion.ts';
import type { AssertionTerms } from '../../src/sessions/session.ts';
import { steadyRing } from '../keys/fixtures.ts';
import { temporaryFolder } from '../support/server.ts';

const url = 'https://pass.test:8443';
const terms: AssertionTerms = {
  audience: 'sts.example',
  algorithms: ['ES256', 'RS256'],
  ttl: 300,
  claims: ({ store, session }) => ({ 'https://example.test/tags': { store: [store], session: [session] } }),
};
const random = (bytes: number) => new Uint8Array(randomBytes(bytes));
const soon = () => deadlineIn(5_000, Date.now);
const policy = { hash: `sha256:${'p'.repeat(43)}`, grants: 0, credentials: 0 };
const closing: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const close of closing) await close();
});

async function open(by = url) {
  const { folder, remove } = temporaryFolder();
  const key = parsePrivateKey(newPrivateKey());
  const workloads = parsePrivateKey(newPrivateKey());
  const ring = steadyRing(key, workloads);
  const sessions = new Map([['aws-prod', terms]]);
  const secrets = ledgerSecrets(ring, { issuer: url, credentials: new Map(), sessions, logins: new Map() });
  const platform = {
    runtime: 'node',
    now: Date.now,
    random,
    log: () => {},
    env: {},
    folder,
    instance: 'test',
  } as const;
  const ledger = await openSqliteLedger(
    { kind: 'sqlite', path: 'ledger.db' },
    {
      platform: { ...platform, fetch: () => Promise.reject(new Error('no network')) },
      origin: 'pass.test/ledger',
      writer: { name: url, instance: 'test', version: '0' },
      secrets,
    },
  );
  closing.push(async () => {
    await ledger.close();
    remove();
  });
  const writer = { name: by, instance: 'test', version: '0' };
  const book = openBook({ ledger, policy, writer, now: Date.now, random });
  const assertFor = openAsserter({ book, issuer: url, writer: by, ledgerMs: 2_000, now: Date.now });
  return { ledger, book, key, assertFor };
}

const records = async (ledger: Ledger): Promise<LedgerRecord[]> =>
  ((await ledger.reader?.list({ limit: 100 }, soon())) ?? []).map(({ record }) => parseRecord(record));

/** A session record of another broker, with whatever it wants signed. */
function sessionOf(mint: object, facts: Partial<LedgerRecord>, { book }: Awaited<ReturnType<typeof open>>): RecordText {
  const disclosed = { name: 'self', iss: url, subject: 'broker:edge.test', mint: mint as never };
  const entry = book.write(
    'session',
    { store: 'aws-prod', audience: terms.audience, ...facts },
    { issuer: 'self', disclosed },
  );
  // Other writers' records come as text, not as what this process wrote.
  const record = { ...parseRecord(entry.record), writer: { name: edge.name, instance: 'edge', version: '0' } };
  return { record: JSON.stringify(sorted(record)), disclosure: entry.disclosure };
}
const sorted = (value: unknown): unknown =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(
        Object.entries(value)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, member]) => [name, sorted(member)]),
      )
    : value;

const edge: WriterRights = { name: 'https://edge.test', types: brokerTypes, mint: ['aws-prod'] };

describe('an assertion for a store', () => {
  it('is signed with exactly the members its record commits to, the record’s id among them', async () => {
    const house = await open();
    const token = await house.assertFor({ store: 'aws-prod' }, terms, soon());
    const verified = await compactVerify(token, createPublicKey({ key: house.key.publicJwk as never, format: 'jwk' }));
    expect(verified.protectedHeader).toEqual({ alg: 'ES256', kid: house.key.kid, typ: 'JWT' });
    const entries = (await house.ledger.reader?.list({ type: 'session', limit: 10 }, soon())) ?? [];
    const [entry] = entries;
    const record = parseRecord(entry?.record ?? '');
    expect(entries).toHaveLength(1);
    expect(record).toMatchObject({ store: 'aws-prod', audience: 'sts.example', identity: { issuer: 'self' } });
    const claims = decodeJwt(token);
    expect(claims).toMatchObject({ iss: url, sub: 'broker:pass.test:8443', aud: 'sts.example', jti: record.id });
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(300);
    expect(claims['https://example.test/tags']).toEqual({ store: ['aws-prod'], session: [record.id] });
    expect(openDisclosure(entry?.disclosure ?? '').mint?.claims).toEqual(claims);
  });

  it('is asked for under the next algorithm where the ledger has no key for the first', async () => {
    const { assertFor, ledger } = await open();
    const either: AssertionTerms = { ...terms, algorithms: ['RS256', 'ES256'] };
    // The ledger's own config says which it takes; this one has no RSA key.
    expect((await assertFor({ store: 'aws-prod' }, either, soon())).split('.')).toHaveLength(3);
    expect((await records(ledger)).filter(({ type }) => type === 'session')).toHaveLength(1);
  });

  it('is not signed for a store the ledger’s config does not have', async () => {
    const { assertFor, ledger } = await open();
    const refused = (await assertFor({ store: 'other' }, terms, soon()).catch((error) => error)) as Refusal;
    expect([refused.code, refused.reason]).toEqual(['denied', 'mint_not_allowed']);
    expect(await records(ledger)).toEqual([]);
  });

  const lockDown = async (book: Awaited<ReturnType<typeof open>>['book'], match: object) => {
    const facts = { op: 'add', target: 'any', epoch: 1, reason: 'incident' };
    await book.append(book.write('lockdown', facts, { issuer: 'self', disclosed: { match: { ...match } } }), soon());
  };
  const issuance = '01jd9m00000000000000000000';

  it.each([{}, { credential: 'uploads' }])(
    'is refused for an issuance of what is locked down (%j), and nothing is signed',
    async (match) => {
      const { assertFor, book, ledger } = await open();
      await lockDown(book, match);
      const at = { credential: 'uploads', issuance };
      const refused = (await assertFor(at, terms, soon()).catch((error) => error)) as Refusal;
      expect([refused.code, refused.reason]).toEqual(['denied', 'lockdown']);
      expect((await records(ledger)).filter(({ type }) => type === 'session')).toEqual([]);
    },
  );

  it.each([{}, { store: 'aws-prod' }])(
    'is signed for the store itself under a lockdown (%j), as what was issued is ended with it',
    async (match) => {
      const { assertFor, book } = await open();
      await lockDown(book, match);
      expect((await assertFor({ store: 'aws-prod' }, terms, soon())).split('.')).toHaveLength(3);
    },
  );
});

describe('another broker’s session', () => {
  const iat = () => Math.floor(Date.now() / 1000);
  const good = (session: string, more: object = {}) => {
    const mint = writeAssertion(terms, {
      issuer: url,
      store: 'aws-prod',
      writer: edge.name,
      session,
      iat: iat(),
      alg: 'ES256',
    });
    return { ...mint, claims: { ...mint.claims, ...more } };
  };
  const append = async (house: Awaited<ReturnType<typeof open>>, entry: RecordText, rights = edge) =>
    house.ledger.accept?.({ entries: [entry], epoch: 0, policy: policy.hash }, rights, soon());
  const outcome = (work: Promise<unknown>) =>
    work.then(
      () => 'signed',
      (error: Refusal) => error.reason,
    );

  it('is signed for a store its role lists', async () => {
    const house = await open();
    const id = house.book.newId();
    const result = await append(house, sessionOf(good(id), { id }, house));
    expect(decodeJwt(result?.minted[0] ?? '')).toMatchObject({ sub: 'broker:edge.test', jti: id });
  });

  it.each([
    ['another audience', { aud: 'sts.other' }],
    ['another issuer', { iss: 'https://evil.test' }],
    ['another subject', { sub: 'broker:pass.test' }],
    ['a longer life', { exp: iat() + 3600 }],
    ['an older beginning', { iat: iat() - 120, nbf: iat() - 120, exp: iat() + 180 }],
    ['another id', { jti: '01jd9m0000000000000000000a' }],
    ['one more claim', { admin: true }],
    ['other tags', { 'https://example.test/tags': { store: ['aws-prod'], session: ['x'] } }],
  ])('is not signed with %s', async (_, more) => {
    const house = await open();
    const id = house.book.newId();
    expect(await outcome(append(house, sessionOf(good(id, more), { id }, house)))).toBe('mint');
    expect(await records(house.ledger)).toEqual([]);
  });

  it('is not signed for a store its role does not list', async () => {
    const house = await open();
    const id = house.book.newId();
    const entry = sessionOf(good(id), { id }, house);
    expect(await outcome(append(house, entry, { ...edge, mint: ['stripe-key'] }))).toBe('mint_not_allowed');
  });

  it('is not signed when its record names another audience than the assertion', async () => {
    const house = await open();
    const id = house.book.newId();
    expect(await outcome(append(house, sessionOf(good(id), { id, audience: 'sts.other' }, house)))).toBe(
      'mint_not_allowed',
    );
  });

  it('is not signed in the record of an issuance, nor a credential’s token in that of a session', async () => {
    const house = await open();
    const id = house.book.newId();
    const session = sessionOf(good(id), { id }, house);
    const { audience: _, ...rest } = parseRecord(session.record);
    const issuance = { ...rest, type: 'issuance', credential: 'partner', kind: 'jwt', epoch: 0 };
    const entry = { ...session, record: JSON.stringify(sorted(issuance)) };
    expect(await outcome(append(house, entry))).toBe('mint_not_allowed');
    const other = house.book.newId();
    const jwt = sessionOf({ ...good(other), use: 'jwt' }, { id: other }, house);
    expect(await outcome(append(house, jwt))).toBe('mint_not_allowed');
  });
});
