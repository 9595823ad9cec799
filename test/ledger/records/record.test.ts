import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type LedgerRecord, parseRecord, RecordError, recordText } from '../../../src/ledger/records/record.ts';
import { canonicalJson } from '../../../src/lib/canonical-json.ts';
import { clockAt, digest, policyHash, scribe, writer } from '../fixtures.ts';

const write = scribe(clockAt());
const stub = { v: 1, id: write.id(), time: '2026-11-22T12:00:00.000Z', writer } as const;
const key = { purpose: 'assertions', kid: 'k1', state: 'begin' };
const refused = (text: string) => {
  try {
    parseRecord(text);
  } catch (error) {
    if (error instanceof RecordError) return error.reason;
    throw error;
  }
  return undefined;
};

describe('parseRecord', () => {
  const good: Partial<LedgerRecord>[] = [
    { type: 'session', store: 'aws-prod', audience: 'https://sts.example' },
    { type: 'policy', hash: policyHash, grants: 3, credentials: 2 },
    { type: 'key', ...key, jwk: { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' } },
    { type: 'lockdown', op: 'add', target: 'issuer', epoch: 1, reason: 'incident', until: '2026-11-22T13:00:00Z' },
    { type: 'read', query: digest('q'), items: 100 },
    {
      type: 'summary',
      from: '2026-11-22T12:00:00Z',
      to: '2026-11-22T12:01:00Z',
      counts: { expired: 3 },
      issuer: 'shop',
    },
    { type: 'rotation', credential: 'orders-db', step: 'begin', version: '2' },
    { type: 'store-write', store: 'local', version: '7' },
    { type: 'erasure', count: 4 },
    { type: 'sign-in' },
    { type: 'denial', reason: 'no_grant', count: 2 },
  ];
  it.each(good)('takes a $type', (facts) => {
    const text = recordText({ ...stub, ...facts } as LedgerRecord);
    expect(recordText(parseRecord(text))).toBe(text);
  });

  it('takes what the scribe writes', () => {
    const id = write.id();
    for (const { record } of [write.intent(id), write.issuance(id), write.failure(id), write.revocation(id)])
      expect(recordText(parseRecord(record))).toBe(record);
  });

  const text = recordText({ ...stub, ...good[10] } as LedgerRecord);
  it.each([
    ['a duplicate member', text.replace('"v":1', '"v":1,"v":1'), 'not_canonical'],
    ['members out of order', `{"v":1,${text.slice(1).replace(',"v":1', '')}`, 'not_canonical'],
    ['white space', text.replace(',', ', '), 'not_canonical'],
    ['a needless escape', text.replace('no_grant', 'no\\u005fgrant'), 'not_canonical'],
    ['another form of a number', text.replace('"count":2', '"count":2.0'), 'not_canonical'],
    ['a number out of range', text.replace('"count":2', '"count":1e400'), 'not_canonical'],
    ['an escaped lone surrogate', text.replace('no_grant', 'no\\ud800grant'), 'not_canonical'],
    ['a lone surrogate', text.replace('no_grant', 'no\ud800grant'), 'not_json'],
    ['a deep value', text.replace('"count":2', `"count":${'['.repeat(20)}${']'.repeat(20)}`), 'not_json'],
    ['an array', '[]', 'not_json'],
    ['nothing', '', 'not_json'],
    ['null', 'null', 'not_json'],
    ['another version', text.replace('"v":1', '"v":2'), 'v_malformed'],
    ['a fraction for a count', text.replace('"count":2', '"count":0.5'), 'count_malformed'],
    ['a zero count', text.replace('"count":2', '"count":0'), 'count_malformed'],
    ['an upper-case id', text.replace(stub.id, stub.id.toUpperCase()), 'id_malformed'],
    ['a time without milliseconds', text.replace('00.000Z', '00Z'), 'time_malformed'],
    ['a time in another zone', text.replace('00.000Z', '00.000+01:00'), 'time_malformed'],
    ['a day that is none', text.replace('2026-11-22', '2026-02-31'), 'time_malformed'],
    ['null for an absent member', text.replace(',"id"', ',"credential":null,"id"'), 'credential_malformed'],
    ['free text for a reason', text.replace('no_grant', 'Because I said so'), 'reason_malformed'],
    ['a member of another type', text.replace('{', '{"audience":"x",'), 'unknown_member'],
    ['a member named __proto__', text.replace('{', '{"__proto__":{},'), 'unknown_member'],
    ['a member named constructor', text.replace('"count"', '"constructor":1,"count"'), 'unknown_member'],
    ['a type named constructor', text.replace('denial', 'constructor'), 'unknown_type'],
    ['a writer with more to say', text.replace('"instance"', '"ego":1,"instance"'), 'writer_malformed'],
    ['more than 32 KiB', `{"a":"${'\u00e9'.repeat(17_000)}"}`, 'too_large'],
  ])('refuses %s', (_, bad, reason) => {
    expect(refused(bad)).toBe(reason);
  });

  it('takes exactly the canonical form of any members, whatever their names', () => {
    const counts = fc.dictionary(
      fc.string({ unit: 'binary' }).filter((name) => name.isWellFormed()),
      fc.nat(1e9),
    );
    fc.assert(
      fc.property(counts, fc.boolean(), (value, indented) => {
        const record = { ...stub, ...good[5], counts: value } as LedgerRecord;
        const canonical = canonicalJson(record as never);
        expect(refused(canonical)).toBeUndefined();
        const other = JSON.stringify(record, null, indented ? 1 : undefined);
        if (other !== canonical) expect(refused(other)).toBe('not_canonical');
      }),
      { numRuns: 300 },
    );
  });

  it('an intent or failure names another record as its issuance', () => {
    const id = write.id();
    expect(refused(write.intent(id, { id }).record)).toBe('issuance_malformed');
  });
});
