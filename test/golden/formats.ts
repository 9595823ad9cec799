import { createHash } from 'node:crypto';
import { openHandles } from '../../src/leases/handle.ts';
import { disclose } from '../../src/ledger/records/disclosure.ts';
import { type LedgerRecord, type RecordType, recordText } from '../../src/ledger/records/record.ts';
import { signCheckpoint } from '../../src/ledger/tree/checkpoint.ts';
import { inclusionProof, leafHash, nodeHash } from '../../src/ledger/tree/merkle.ts';
import { noteSigner } from '../../src/ledger/tree/note.ts';
import { formatProof } from '../../src/ledger/tree/proof.ts';
import { encodeBundle } from '../../src/ledger/tree/tile.ts';
import { encodeAppendRequest, encodeAppendResult, encodeEntries } from '../../src/ledger/wire.ts';
import { toBase64Url } from '../../src/lib/bytes.ts';
import { newUlid } from '../../src/lib/ulid.ts';

// What was released is read for ever. Everything here is made from one clock that stands still and one source of bytes
// that only counts, so that it comes out the same each time.

const at = Date.UTC(2026, 10, 22, 12);
const counting = () => {
  let block = 0;
  return (bytes: number): Uint8Array => createHash('shake256', { outputLength: bytes }).update(`${block++}`).digest();
};
export const seed = new Uint8Array(32).fill(7);
const digest = (letter: string) => letter.repeat(43);
const policy = `sha256:${digest('p')}`;

/** The members of each type beside what every record has. */
function factsByType(issuance: string): readonly (readonly [RecordType, Partial<LedgerRecord>])[] {
  const about = { credential: 'orders-db', kind: 'postgres', grant: 'checkout', policy, epoch: 0 };
  const lease = { expiresAt: '2026-11-22T12:10:00Z', ttl: 600, account: `hp_${issuance}`, revocable: true };
  const jwk = { kty: 'EC', crv: 'P-256', x: digest('x'), y: digest('y') };
  return [
    ['policy', { hash: policy, grants: 2, credentials: 3 }],
    ['key', { purpose: 'workloads', kid: 'k1', jwk, state: 'begin' }],
    ['intent', { ...about, issuance, once: digest('o'), lease, request: 'r1' }],
    [
      'issuance',
      {
        ...about,
        id: issuance,
        once: digest('o'),
        lease,
        request: 'r1',
        trace: 'a'.repeat(32),
        fingerprint: `hmac-sha256:${digest('f')}`,
        fingerprintKey: 'AAAAAAAAAAA',
      },
    ],
    ['renewal', { ...about, issuance, lease }],
    ['revocation', { ...about, issuance, reason: 'requested' }],
    ['denial', { epoch: 0, policy, reason: 'no_grant', count: 1, credential: 'stripe-key' }],
    ['session', { store: 'aws-prod', audience: 'sts.amazonaws.com' }],
    ['rotation', { credential: 'orders-db', step: 'current', version: '2' }],
    ['store-write', { store: 'aws-prod', version: '2' }],
    ['read', { query: digest('q'), items: 3 }],
    ['summary', { issuer: 'ci', from: '2026-11-22T11:59:00Z', to: '2026-11-22T12:00:00Z', counts: { tenant: 5 } }],
    ['lockdown', { op: 'add', target: 'issuer', epoch: 1, reason: 'incident' }],
    ['erasure', { count: 1 }],
    ['roll', { state: 'end', log: 'pass.example.com/ledger~2' }],
  ];
}

/** Every format as this version writes it. */
export function writeFormats() {
  const random = counting();
  const writer = { name: 'https://pass.example.com', instance: 'node-1', version: '0.1.0' };
  const issuance = newUlid(at, random);
  const disclosed = {
    name: 'ci:acme/shop@main',
    iss: 'https://ci.example',
    subject: 'repo:acme/shop',
    token: digest('t'),
    claims: { repository_id: '1' },
    why: 'nightly export',
    address: '203.0.113.7',
  };
  const entries = factsByType(issuance).map(([type, facts]) => {
    const { disclosure, who } = disclose(type === 'lockdown' ? { match: { issuer: 'ci' } } : disclosed, random);
    const identity = { issuer: 'ci', who };
    const stub = { v: 1, type, id: newUlid(at, random), time: '2026-11-22T12:00:00.000Z', writer, identity } as const;
    return { record: recordText({ ...stub, ...facts }), disclosure };
  });

  const signer = noteSigner('pass.example.com/ledger', seed);
  const leaves = entries.map(({ record }) => leafHash(record));
  const node = (level: number, index: number): Uint8Array =>
    level === 0 ? (leaves[index] as Uint8Array) : nodeHash(node(level - 1, index * 2), node(level - 1, index * 2 + 1));
  const rootOf = (from: number, to: number): Uint8Array => {
    if (to - from === 1) return leaves[from] as Uint8Array;
    const split = 2 ** Math.floor(Math.log2(to - from - 1));
    return nodeHash(rootOf(from, from + split), rootOf(from + split, to));
  };
  const checkpoint = signCheckpoint(signer, leaves.length, rootOf(0, leaves.length));
  const receipts = entries.map((entry, index) => ({
    log: signer.name,
    index,
    ...entry,
    proof: formatProof({ index, path: inclusionProof(index, leaves.length, node), checkpoint }),
  }));

  const request = { entries: entries.slice(3, 4), epoch: 0, policy, once: digest('o') };
  const keys = { handle: new Uint8Array(32).fill(1), identity: new Uint8Array(32).fill(2) };
  const handles = openHandles([keys], random);
  const holder = handles.holder({ issuer: 'ci', iss: 'https://ci.example', subject: 'repo:acme/shop' });
  const lease = { id: issuance, kind: 'postgres', credential: 'orders-db', expiresAt: at + 600_000, holder };
  return {
    vkey: signer.vkey,
    checkpoint,
    receipts,
    bundle: toBase64Url(encodeBundle(entries.map(({ record }) => record))),
    appendRequest: encodeAppendRequest({ ...request, max: { holder, most: 3 } }),
    appendAnswer: encodeAppendResult({ receipts: receipts.slice(3, 4), minted: [null] }),
    entries: encodeEntries(entries.slice(2, 4).map((entry, at) => ({ index: 2 + at, ...entry }))),
    lease,
    handle: handles.seal(lease),
  };
}
