import { describe, expect, it } from 'vitest';
import type { IndexFilter, IndexRow } from '../../../src/ledger/query-index.ts';
import { canFit, fitter, rowOf } from '../../../src/ledger/questions/index-row.ts';
import { clockAt, scribe } from '../fixtures.ts';

const write = scribe(clockAt(1_800_000_000_000));
const drafts = [
  write.issuance(write.id()),
  write.intent(write.id()),
  write.denial(),
  write.lockdown('add', 'issuer', 1, { issuer: 'shop' }),
  write.failure(write.id()),
  write.revocation(write.id()),
];
const rows = drafts.map(({ record, disclosure }, index) => rowOf({ index, record, disclosure }));

describe('what a type of record cannot have', () => {
  it('rules out no row that fits', () => {
    for (const row of rows)
      for (const [member, value] of Object.entries(row) as [keyof IndexRow, string][]) {
        if (value === undefined || member === 'index' || member === 'time') continue;
        const filter: IndexFilter = { type: row.type, [member]: value };
        expect(fitter(filter)(row), `${row.type} by ${member}`).toBe(true);
        expect(canFit(filter), `${row.type} by ${member}`).toBe(true);
      }
  });

  it('is not looked for: the reason of an issuance, the fingerprint of a denial', () => {
    expect(canFit({ type: 'issuance', reason: 'no_grant' })).toBe(false);
    expect(canFit({ type: 'denial', fingerprint: 'hmac-sha256:x' })).toBe(false);
  });

  it('is not known of all types at once, nor of one that there is none of', () => {
    expect(canFit({ reason: 'no_grant' })).toBe(true);
    expect(canFit({ type: 'unreadable', reason: 'no_grant' })).toBe(true);
  });
});
