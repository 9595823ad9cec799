import { expect, it } from 'vitest';
import type { AssertionTerms } from '../../src/sessions/session.ts';
import { checkToken, makeAsserter, type Trust } from './federation.ts';
import { startFake } from './server.ts';

const terms: AssertionTerms = { audience: 'sts.example', algorithms: ['ES256', 'RS256'], ttl: 300 };

const trustOf = (us: ReturnType<typeof makeAsserter>, changes: Partial<Trust> = {}): Trust => ({
  issuer: us.issuer,
  audience: terms.audience,
  subject: us.subject,
  keys: us.keys,
  ...changes,
});

it.each(['ES256', 'RS256'] as const)(
  'the fake clouds take what Hallpass signs with %s, by its own keys',
  async (algorithm) => {
    const us = makeAsserter({ algorithm });
    const token = await us.assert(terms);
    expect(await checkToken(token, [trustOf(us)])).toEqual({ claims: us.made[0] });
  },
);

it('the fake clouds refuse every token that is not quite right', async () => {
  const us = makeAsserter();
  const token = await us.assert(terms);
  const trust = trustOf(us);
  const now = Math.floor(Date.now() / 1000);
  const fault = async (text: string, trusts: Trust[] = [trust]) =>
    ((await checkToken(text, trusts)) as { fault: string }).fault;
  expect(await fault('not.a-token')).toBe('not_a_token');
  expect(await fault(await us.assert(terms, { aud: 'other' }))).toBe('untrusted');
  expect(await fault(await us.assert(terms, { aud: ['sts.example', 'other'] }))).toBe('untrusted');
  expect(await fault(await us.assert(terms, { sub: 'broker:other.example' }))).toBe('untrusted');
  expect(await fault(token, [])).toBe('untrusted');
  expect(await fault(await us.assert(terms, { iat: now - 400, exp: now - 100 }))).toBe('expired');
  expect(await fault(await us.assert(terms, { exp: now + 3600 }))).toBe('expired');
  expect(await fault(token, [trustOf(us, { algorithms: ['RS256'] })])).toBe('algorithm');
  expect(await fault(token, [trustOf(us, { keys: [] })])).toBe('unknown_key');
  const kid = us.keys[0]?.kid;
  const other = makeAsserter().keys.map((key) => ({ ...key, kid }));
  expect(await fault(token, [trustOf(us, { keys: other })])).toBe('signature');
});

it('the fake clouds fetch the keys of an issuer whose keys they were not given', async () => {
  const server = await startFake(({ url }) => ({
    status: 200,
    body: JSON.stringify(url.pathname === '/jwks' ? { keys: us.keys } : { jwks_uri: `${server.url}/jwks` }),
  }));
  const us = makeAsserter({ issuer: server.url });
  const { keys: _, ...trust } = trustOf(us);
  expect(await checkToken(await us.assert(terms), [trust])).toHaveProperty('claims');
  expect(server.calls.map(({ url }) => url.pathname)).toEqual(['/.well-known/openid-configuration', '/jwks']);
  await server.close();
});
