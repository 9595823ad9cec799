import { format, inspect } from 'node:util';
import { expect, test } from 'vitest';
import { Secret } from '../../src/lib/secret.ts';

const value = 'canary-8c1f';
const secret = new Secret(value);

test.each<[string, () => string]>([
  ['a template', () => `${secret}`],
  ['concatenation', () => `x${String(secret)}`],
  ['JSON', () => JSON.stringify({ nested: [secret] })],
  ['inspection', () => inspect({ nested: [secret] }, { depth: 9, showHidden: true })],
  ['a log line', () => format('%s %o %j %O', secret, secret, secret, secret)],
  ['an error', () => inspect(new Error('broken', { cause: secret }))],
  ['its own members', () => JSON.stringify([Object.entries(secret), Reflect.ownKeys(secret).map(String)])],
  ['a spread copy', () => inspect({ ...secret })],
  ['a structured clone', () => inspect(structuredClone(secret))],
])('%s shows nothing of it', (_, show) => {
  const shown = show();
  for (const form of [value, Buffer.from(value).toString('base64'), Buffer.from(value).toString('hex')]) {
    expect(shown).not.toContain(form);
  }
  expect(shown).not.toContain([...Buffer.from(value)].slice(0, 4).join(','));
});

test('it is given back whole, as bytes or as text', () => {
  expect(secret.revealText()).toBe(value);
  expect(Buffer.from(secret.reveal()).toString()).toBe(value);
  expect(new Secret(new Uint8Array([0xef, 0xbb, 0xbf, 0x61])).revealText()).toBe('\ufeffa');
});

test('bytes that are not UTF-8 have no text', () => {
  expect(() => new Secret(new Uint8Array([0xff])).revealText()).toThrow(TypeError);
});
