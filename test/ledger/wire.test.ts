import { describe, expect, test } from 'vitest';
import type { AppendRequest } from '../../src/ledger/ledger.ts';
import {
  decodeAppendRequest,
  decodeAppendResult,
  decodeEntries,
  encodeAppendRequest,
  encodeAppendResult,
  encodeEntries,
  refusalOf,
} from '../../src/ledger/wire.ts';
import { toUtf8 } from '../../src/lib/bytes.ts';

const good = { records: ['{"v":1}', '{"v":2}'], disclosures: ['WyJ4Il0', null], epoch: 3, policy: 'sha256:x' };
const body = (value: unknown) => toUtf8(typeof value === 'string' ? value : JSON.stringify(value));
const refusal = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was refused');
};

describe('an append on the wire', () => {
  test('comes back as it went', () => {
    const request: AppendRequest = {
      entries: [
        { record: '{"a":"é"}', disclosure: 'WyJ4Il0' },
        { record: '{"b":2}', disclosure: null },
      ],
      epoch: 7,
      policy: 'sha256:x',
      once: 'digest',
    };
    expect(decodeAppendRequest(toUtf8(encodeAppendRequest(request)))).toEqual(request);
  });

  test('does not carry policyCounts, which the format does not know', () => {
    const sent = encodeAppendRequest({ entries: [], epoch: 0, policyCounts: { grants: 1, credentials: 1 } });
    expect(Object.keys(JSON.parse(sent))).toEqual(['records', 'disclosures', 'epoch']);
  });

  test.each<[string, unknown]>([
    ['not JSON', '{'],
    ['a list', []],
    ['a duplicate member', '{"records":["{}"],"disclosures":[null],"epoch":0,"epoch":1,"policy":"p"}'],
    ['an unknown member', { ...good, extra: 1 }],
    ['max, which is of a later part', { ...good, max: { n: 1 } }],
    ['max with a member that is not known', { ...good, max: { holder: 'h', most: 1, n: 1 } }],
    ['former holders that are no list', { ...good, max: { holder: 'h', most: 1, former: 'h' } }],
    ['no records', { ...good, records: [], disclosures: [] }],
    ['257 records', { ...good, records: Array(257).fill('{}'), disclosures: Array(257).fill(null) }],
    ['disclosures that are not aligned', { ...good, disclosures: [null] }],
    ['a record that is an object', { ...good, records: [{ v: 1 }, '{}'] }],
    ['a record that is null', { ...good, records: [null, '{}'] }],
    ['a disclosure that is a number', { ...good, disclosures: [1, null] }],
    ['a disclosure over 64 KiB', { ...good, disclosures: ['x'.repeat(64 * 1024 + 1), null] }],
    ['no epoch', { ...good, epoch: undefined }],
    ['a negative epoch', { ...good, epoch: -1 }],
    ['an epoch that is no integer', { ...good, epoch: 0.5 }],
    ['an epoch in a string', { ...good, epoch: '3' }],
    ['no policy', { ...good, policy: undefined }],
    ['a policy that is a number', { ...good, policy: 1 }],
    ['a policy that is null', { ...good, policy: null }],
    ['a once with a line break', { ...good, once: 'a\nb' }],
    ['an empty once', { ...good, once: '' }],
  ])('is refused with %s', (_, value) => {
    expect(refusal(() => decodeAppendRequest(body(value)))).toMatchObject({ code: 'invalid_request' });
  });

  test('takes 256 records and a disclosure of 64 KiB', () => {
    const records = Array(256).fill('{}');
    const disclosures = ['x'.repeat(64 * 1024), ...Array(255).fill(null)];
    expect(decodeAppendRequest(body({ ...good, records, disclosures })).entries).toHaveLength(256);
  });

  test('is too large above 1 MiB', () => {
    const filler = 'x'.repeat(1024 * 1024);
    expect(refusal(() => decodeAppendRequest(body({ ...good, records: [filler, ''] })))).toMatchObject({
      code: 'too_large',
    });
  });
});

describe('the answer to an append', () => {
  const sent = [
    { record: '{"v":1}', disclosure: 'WyJ4Il0' },
    { record: '{"v":2}', disclosure: null },
  ];
  const receipts = [
    { log: 'l', index: 4, record: '{"v":1}', disclosure: 'WyJ4Il0', proof: 'p' },
    { log: 'l', index: 5, record: '{"v":2}', proof: 'q' },
  ];

  test('comes back as it went, records and disclosures taken from what was sent', () => {
    const text = encodeAppendResult({ receipts, minted: ['token', null] });
    expect(JSON.parse(text)).toEqual({
      receipts: [
        { log: 'l', index: 4, proof: 'p' },
        { log: 'l', index: 5, proof: 'q' },
      ],
      minted: ['token', null],
    });
    expect(decodeAppendResult(toUtf8(text), sent)).toEqual({ receipts, minted: ['token', null] });
  });

  test.each<[string, unknown]>([
    ['nothing', ''],
    ['HTML', '<html></html>'],
    ['an empty object', {}],
    ['a receipt too few', { receipts: [receipts[0]], minted: [null, null] }],
    ['a receipt too many', { receipts: [...receipts, receipts[0]], minted: [null, null] }],
    ['minted that is not aligned', { receipts, minted: [null] }],
    ['minted that is not text', { receipts, minted: [null, 1] }],
    ['a receipt that is null', { receipts: [receipts[0], null], minted: [null, null] }],
    ['an index in a string', { receipts: [receipts[0], { ...receipts[1], index: '5' }], minted: [null, null] }],
    ['no proof', { receipts: [receipts[0], { log: 'l', index: 5 }], minted: [null, null] }],
  ])('is garbage when it is %s', (_, value) => {
    expect(refusal(() => decodeAppendResult(body(value), sent))).toMatchObject({
      code: 'ledger_unavailable',
      reason: 'garbage',
    });
  });
});

describe('entries on the wire', () => {
  test('come back as they went', () => {
    const entries = [
      { index: 0, record: '{"v":1}', disclosure: 'WyJ4Il0' },
      { index: 9, record: '{"v":2}', disclosure: null },
    ];
    expect(decodeEntries(toUtf8(encodeEntries(entries)))).toEqual(entries);
  });

  test.each<[string, unknown]>([
    ['items that are no list', { items: {} }],
    ['an item without index', { items: [{ record: '{}', disclosure: null }] }],
    ['a disclosure left out', { items: [{ index: 1, record: '{}' }] }],
  ])('are garbage with %s', (_, value) => {
    expect(refusal(() => decodeEntries(body(value)))).toMatchObject({ code: 'ledger_unavailable', reason: 'garbage' });
  });
});

describe('a problem of the ledger', () => {
  const lockdowns = [{ id: 'l1', epoch: 4, match: { credential: 'stripe-key' }, until: '2026-11-22T12:00:00Z' }];

  test('says stale with the epoch and the lockdowns to decide again under', () => {
    expect(refusalOf(409, body({ code: 'stale', epoch: 4, lockdowns }))).toMatchObject({
      code: 'stale',
      options: { members: { epoch: 4, lockdowns } },
    });
  });

  test('says replayed with the index of the record that spent the key', () => {
    expect(refusalOf(409, body({ code: 'replayed', index: 41 }))).toMatchObject({
      code: 'replayed',
      options: { members: { index: 41 } },
    });
  });

  test.each<[string, number, unknown, string]>([
    ['400 invalid_request', 400, { code: 'invalid_request' }, 'invalid_request'],
    ['403 denied', 403, { code: 'denied' }, 'denied'],
    ['401', 401, { code: 'token_invalid' }, 'ledger_unavailable'],
    ['500', 500, { code: 'internal' }, 'ledger_unavailable'],
    ['503', 503, { code: 'ledger_unavailable' }, 'ledger_unavailable'],
    ['a 403 page of a firewall', 403, '<html>', 'ledger_unavailable'],
    ['a 400 of another shape', 400, { error: 'bad' }, 'ledger_unavailable'],
    ['denied under another status', 500, { code: 'denied' }, 'ledger_unavailable'],
    ['stale without epoch', 409, { code: 'stale', lockdowns }, 'ledger_unavailable'],
    ['stale with a lockdown of another shape', 409, { code: 'stale', epoch: 4, lockdowns: [{}] }, 'ledger_unavailable'],
    ['replayed without index', 409, { code: 'replayed' }, 'ledger_unavailable'],
    ['201', 201, {}, 'ledger_unavailable'],
  ])('%s', (_, status, problem, code) => {
    expect(refusalOf(status, body(problem)).code).toBe(code);
  });
});
