import { createHash } from 'node:crypto';
import { disclose } from '../../src/ledger/records/disclosure.ts';
import { type Disclosed, type LedgerRecord, parseRecord, recordText } from '../../src/ledger/records/record.ts';
import type { SinkEntry } from '../../src/sinks/entry.ts';

const writer = { name: 'https://pass.example.com', instance: 'node-1', version: '0.6.0' };
const id = '01jd9m0000000000000000000a';
const issuance = '01jd9m0000000000000000000b';
const base = { v: 1, id, time: '2026-11-22T12:00:00.123Z', writer } as const;
const request = { request: '01jd9m0000000000000000000c', trace: '0af7651916cd43dd8448eb211c80319c' };
const digest = createHash('sha256').update('a').digest('base64url');
const lease = { expiresAt: '2026-11-22T12:10:00Z', ttl: 600, revocable: true, account: 'hp_a' };
const decided = { grant: 'checkout', policy: `sha256:${digest}`, epoch: 2 };
const about = { credential: 'orders-db', kind: 'postgres', store: 'hub', version: '4' };

export const who: Disclosed = {
  name: 'shop:checkout/web',
  iss: 'https://issuer.example.com',
  subject: 'system:serviceaccount:shop:checkout',
  token: digest,
  address: '203.0.113.9',
  why: 'nightly export',
};

/** The disclosure of a record that names somebody, and the record. */
export function disclosing(record: Omit<LedgerRecord, 'identity'>, issuer: string, disclosed: Disclosed = who) {
  const sealed = disclose(disclosed, (bytes) => new Uint8Array(bytes).fill(7));
  return { record: { ...record, identity: { issuer, who: sealed.who } }, disclosure: sealed.disclosure };
}

const named = (record: Omit<LedgerRecord, 'identity'>, disclosed?: Disclosed) => disclosing(record, 'shop', disclosed);
const plain = (record: LedgerRecord) => ({ record, disclosure: null });

/** One record of every type, as the ledger would take it. */
export const everyType: Readonly<Record<LedgerRecord['type'], { record: LedgerRecord; disclosure: string | null }>> = {
  intent: named({ ...base, type: 'intent', issuance, ...request, ...about, ...decided, lease }),
  issuance: named({
    ...base,
    type: 'issuance',
    ...request,
    ...about,
    ...decided,
    lease,
    once: digest,
    fingerprint: `hmac-sha256:${digest}`,
    fingerprintKey: 'abc',
  }),
  failure: named({ ...base, type: 'failure', issuance, reason: 'store_failed', ...about }),
  denial: named({ ...base, type: 'denial', reason: 'no_grant', count: 3, credential: 'orders-db', ...request }),
  revocation: named({ ...base, type: 'revocation', issuance, reason: 'asked', ...about }),
  renewal: named({ ...base, type: 'renewal', issuance, ...about, ...decided, lease }),
  session: disclosing({ ...base, type: 'session', store: 'hub', audience: 'sts.amazonaws.com' }, 'self', {
    mint: { use: 'session', alg: 'ES256', claims: { sub: 'broker:pass.example.com' } },
  }),
  lockdown: named(
    { ...base, type: 'lockdown', op: 'add', target: 'identity', epoch: 3, reason: 'leak' },
    { ...who, match: { identity: 'shop:checkout/*' } },
  ),
  policy: plain({ ...base, type: 'policy', hash: `sha256:${digest}`, grants: 3, credentials: 2 }),
  key: disclosing(
    { ...base, type: 'key', purpose: 'assertions', kid: 'k1', jwk: { kty: 'EC' }, state: 'begin' },
    'self',
    {},
  ),
  rotation: plain({ ...base, type: 'rotation', credential: 'stripe-key', step: 'written', ...request }),
  'store-write': plain({ ...base, type: 'store-write', store: 'hub', version: '5' }),
  erasure: named({ ...base, type: 'erasure', count: 12 }),
  read: named({ ...base, type: 'read', query: digest, items: 4 }, { ...who, query: { type: 'issuance' } }),
  'sign-in': named({ ...base, type: 'sign-in', reason: 'expired' }, { ...who, address: '2001:db8::7' }),
  summary: plain({
    ...base,
    type: 'summary',
    issuer: 'ci',
    from: '2026-11-22T11:59:00.000Z',
    to: '2026-11-22T12:00:00.000Z',
    counts: { expired: 3, bad_signature: 4 },
  }),
  roll: plain({ ...base, type: 'roll', state: 'end', log: 'pass.example.com/ledger~2' }),
};

/** As it lies in the log. */
export function entryOf(
  { record, disclosure }: { record: LedgerRecord; disclosure: string | null },
  index = 41,
): SinkEntry {
  const text = recordText(record);
  parseRecord(text);
  return { log: 'pass.example.com/ledger', leaf: index, index, record: text, disclosure };
}
