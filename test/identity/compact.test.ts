import { expect, test } from 'vitest';
import { readCompact } from '../../src/identity/compact.ts';

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const tokenOf = (header: unknown, claims: unknown = { sub: 'it' }) => `${encode(header)}.${encode(claims)}.c2ln`;

test('a header that was read before says the same again, beside claims of its own', () => {
  const header = { alg: 'RS256', kid: 'one', typ: 'JWT' };
  for (const sub of ['a', 'b', 'a']) {
    const text = tokenOf(header, { sub });
    expect(readCompact(text, 1_000)).toMatchObject({ ...header, claims: { sub }, signed: text.slice(0, -5) });
  }
});

test('a header that differs in anything is another, among more than are remembered', () => {
  for (let time = 0; time < 2; time++)
    for (let at = 0; at < 150; at++) {
      expect(readCompact(tokenOf({ alg: 'RS256', kid: `k${at}` }), 1_000)).toMatchObject({ kid: `k${at}` });
      expect(readCompact(tokenOf({ alg: 'ES256', kid: `k${at}` }), 1_000)).toMatchObject({ alg: 'ES256' });
    }
});

test.each([
  ['a member that is not allowed', encode({ alg: 'RS256', kid: 'k', jku: 'https://evil.example' })],
  ['no algorithm', encode({ kid: 'k' })],
  ['a member twice', Buffer.from('{"alg":"RS256","alg":"none"}').toString('base64url')],
  ['unused bits that are set', `${encode({ alg: 'RS256' }).slice(0, -1)}R`],
  ['padding', `${Buffer.from('{"alg":"RS256" }').toString('base64')}=`],
])('%s is refused however often it comes', (_, header) => {
  readCompact(tokenOf({ alg: 'RS256' }), 1_000);
  for (let time = 0; time < 3; time++)
    expect(() => readCompact(`${header}.${encode({ sub: 'it' })}.c2ln`, 1_000)).toThrow(
      expect.objectContaining({ code: 'token_invalid' }),
    );
});
