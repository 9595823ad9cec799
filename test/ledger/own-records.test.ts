import { describe, expect, it } from 'vitest';
import { examine } from '../../src/ledger/log/examine.ts';
import { disclose } from '../../src/ledger/records/disclosure.ts';
import { type LedgerRecord, originOf, type RecordText, written } from '../../src/ledger/records/record.ts';
import { ownRights } from '../../src/ledger/records/writer.ts';

const writer = { name: 'https://pass.test', instance: 'test', version: '0' };
const rights = ownRights(writer.name);
const denial: LedgerRecord = {
  v: 1,
  type: 'denial',
  id: '01jd9m0000000000000000000a',
  time: '2026-11-22T12:00:00.000Z',
  writer,
  trace: undefined,
  reason: 'no_grant',
  count: 1,
};
const examined = (text: RecordText) => examine({ entries: [text], epoch: 0 }, rights);
const reasonOf = (text: RecordText): string => {
  try {
    examined(text);
    return 'taken';
  } catch (error) {
    return (error as { reason: string }).reason;
  }
};

describe('a record that this process wrote', () => {
  it('is examined to the same result as its text from elsewhere', () => {
    const disclosed = { name: 'ci:x', iss: 'https://issuer.test', subject: 'x' };
    const { disclosure, who } = disclose(disclosed, (bytes) => new Uint8Array(bytes));
    const own = written({ ...denial, identity: { issuer: 'ci', who } }, disclosure, disclosed);
    const foreign = { ...own };
    expect(originOf(own)).toBeDefined();
    expect(originOf(foreign)).toBeUndefined();
    const told = (text: RecordText) =>
      JSON.stringify(examined(text).map(({ record, disclosed }) => [text.record, record.id, disclosed]));
    expect(told(own)).toBe(told(foreign));
  });

  it('is refused when it is no record: its shape is looked at all the same', () => {
    expect(reasonOf(written({ ...denial, reason: 'Free text, from outside' }))).toBe('reason_malformed');
    expect(reasonOf(written({ ...denial, count: undefined }))).toBe('count_missing');
    expect(reasonOf(written({ ...denial, surprise: 1 } as LedgerRecord))).toBe('unknown_member');
  });

  it('vouches for nothing but its own object: the same disclosure under another text is read and refused', () => {
    const { disclosure, who } = disclose({ name: 'ci:x' }, (bytes) => new Uint8Array(bytes));
    const own = written({ ...denial, identity: { issuer: 'ci', who } }, disclosure, { name: 'ci:x' });
    const other = disclose({ name: 'ci:y' }, (bytes) => new Uint8Array(bytes)).disclosure;
    expect(reasonOf({ ...own, disclosure: other })).toBe('disclosure_differs');
  });
});
