import { expect, test } from 'vitest';
import { csvLine, itemText } from '../../src/http/items.ts';

test('an item of a list or an export holds nothing that would drive a terminal, and says the same', () => {
  const disclosed = { why: 'a\u202eb', claims: { workflow: '\u009b31m\u007f\u2066' } };
  const disclosure = Buffer.from(JSON.stringify(['c2FsdA', disclosed])).toString('base64url');
  const text = itemText({ log: 'l', index: 0, leaf: 0, record: '{}', disclosure });
  expect(text).toMatch(/^[ -~]*$/);
  expect(JSON.parse(text).disclosed).toEqual(disclosed);
});

const driving = 'a\u001b[31m\u0007\r\n\u009b1m\u202eb\u2028';

test('nor does what another broker wrote into a record, and it says the same', () => {
  const written = { type: 'issuance', credential: driving, lease: { account: driving } };
  const text = itemText({ log: 'l', index: 0, leaf: 0, record: JSON.stringify(written), disclosure: null });
  expect(text).toMatch(/^[ -~]*$/);
  expect(JSON.parse(text).record).toEqual(written);
});

test('as CSV a record is one line that drives no terminal, whatever is in it', () => {
  const record = JSON.stringify({ type: 'issuance', credential: driving, lease: { account: driving }, grant: 'g,"' });
  const disclosure = Buffer.from(JSON.stringify(['c2FsdA', { why: driving }])).toString('base64url');
  const line = csvLine({ log: 'l', index: 0, leaf: 0, record, disclosure });
  expect(line).toMatch(/^[ -~]*\r\n$/);
  expect(line).toContain(',a?[31m????1m?b?,');
  expect(line).toContain('"g,"""');
});
