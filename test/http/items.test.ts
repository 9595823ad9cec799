import { expect, test } from 'vitest';
import { itemText } from '../../src/http/items.ts';

test('an item of a list or an export holds nothing that would drive a terminal, and says the same', () => {
  const disclosed = { why: 'a\u202eb', claims: { workflow: '\u009b31m\u007f\u2066' } };
  const disclosure = Buffer.from(JSON.stringify(['c2FsdA', disclosed])).toString('base64url');
  const text = itemText({ log: 'l', index: 0, leaf: 0, record: '{}', disclosure });
  expect(text).toMatch(/^[ -~]*$/);
  expect(JSON.parse(text).disclosed).toEqual(disclosed);
});
