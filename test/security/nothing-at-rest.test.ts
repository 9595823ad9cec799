import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { jsonLines } from '../../src/lib/operator-log.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { filesBelow, formsOf } from '../support/bytes-on-disk.ts';
import { embeddedConfig, secretValue } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';

// Whatever is shown to the broker in the wrong place, and whatever it hands over, is looked for in all that it keeps and says.

const { folder, remove } = temporaryFolder();
const issuer = testIssuer('https://issuer.test', 'https://pass.test');
const canary = 'canary-Value+4711/in~the=wrong%place';
/** What is looked for, and what it is called. */
const looked = new Map<string, string>([['the canary', canary]]);
const answers: string[] = [];
let lines = '';
let broker: OpenBroker;

/** The forms in which a text may have been kept: as it is, encoded in any of the usual ways, or turned round. */
const allForms = (text: string): Buffer[] => {
  const bytes = Buffer.from(text);
  const base64 = [0, 1, 2].map((offset) =>
    Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .slice(Math.ceil((offset * 4) / 3), Math.floor(((bytes.length + offset) * 4) / 3)),
  );
  const hex = bytes.toString('hex');
  const turned = [...text].reverse().join('');
  const texts = [
    ...base64,
    hex,
    hex.toUpperCase(),
    encodeURIComponent(text),
    turned,
    JSON.stringify(text).slice(1, -1),
  ];
  return [...formsOf(text), Buffer.from(text, 'utf16le'), ...texts.map((form) => Buffer.from(form))];
};

function found(bytes: Buffer): string[] {
  return [...looked].filter(([, text]) => allForms(text).some((form) => bytes.includes(form))).map(([name]) => name);
}

function lookFor(name: string, token: string): string {
  // A record names a token by a digest of what is signed; no part of the token itself is kept.
  token.split('.').forEach((part, at) => {
    if (part.length > 30) looked.set(`${name} ${looked.size}, part ${at + 1}`, part);
  });
  return token;
}

async function send(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await broker.send(path, init);
  answers.push(`${await response.clone().text()} ${JSON.stringify([...response.headers])}`);
  return response;
}

beforeAll(async () => {
  const config = embeddedConfig(folder, issuer, {
    stores: { here: { kind: 'env', prefix: 'TEST_SECRET_' } },
    sinks: { file: { kind: 'file', path: join(folder, 'audit.ndjson') } },
  });
  broker = await openBroker(config, folder, {
    env: { TEST_SECRET_stripe: secretValue },
    log: jsonLines((line) => {
      lines += line;
    }, Date.now),
  });
  looked.set('the stored value', secretValue);
});
afterAll(remove);

const issue = '/v1/credentials/stripe-key';
const good = () => lookFor('a token', issuer.token());
const asked = (token: string, more: Record<string, string> = {}) => ({
  method: 'POST',
  headers: { authorization: `Bearer ${token}`, ...more },
});
const json = { 'content-type': 'application/json' };

describe('what comes in the wrong place', () => {
  const places: readonly (readonly [where: string, path: string, init: () => RequestInit])[] = [
    ['a credential’s name', `/v1/credentials/${encodeURIComponent(canary)}`, () => asked(good())],
    ['a query', `${issue}?token=${encodeURIComponent(canary)}`, () => asked(good())],
    ['a query’s name', `${issue}?${encodeURIComponent(canary)}=1`, () => asked(good())],
    ['a path that is not there', `/v1/${encodeURIComponent(canary)}`, () => asked(good())],
    ['an id', `/v1/leases/${encodeURIComponent(canary)}`, () => ({ ...asked(good()), method: 'DELETE' })],
    ['another scheme', issue, () => ({ method: 'POST', headers: { authorization: `Basic ${canary}` } })],
    ['a token', issue, () => asked(canary)],
    ['a claim', issue, () => asked(lookFor('a claim', issuer.token({ password: canary })))],
    ['a claim of a refused token', issue, () => asked(issuer.token({ aud: canary, [canary]: canary }))],
    ['an issuer', issue, () => asked(issuer.token({ iss: `https://${canary}` }))],
    ['a jti', issue, () => asked(issuer.token({ jti: canary }))],
    ['a header of its own', issue, () => asked(good(), { 'x-password': canary, cookie: `a=${canary}` })],
    ['a trace', issue, () => asked(good(), { traceparent: canary, 'x-request-id': canary })],
    ['who sends it', issue, () => asked(good(), { 'x-forwarded-for': canary, forwarded: `for="${canary}"` })],
    ['a content type', issue, () => ({ ...asked(good(), { 'content-type': `text/${canary}` }), body: '{}' })],
    ['a member', issue, () => ({ ...asked(good(), json), body: JSON.stringify({ password: canary }) })],
    ['a member’s name', issue, () => ({ ...asked(good(), json), body: JSON.stringify({ [canary]: 1 }) })],
    ['a ttl', issue, () => ({ ...asked(good(), json), body: JSON.stringify({ ttl: canary }) })],
    ['what is no JSON', issue, () => ({ ...asked(good(), json), body: `{"a": ${canary}` })],
    ['a key to seal to', issue, () => ({ ...asked(good(), json), body: JSON.stringify({ sealTo: { d: canary } }) })],
    [
      'a form',
      '/oauth/token',
      () => ({
        method: 'POST',
        body: new URLSearchParams({ grant_type: canary, subject_token: canary, [canary]: '1' }),
      }),
    ],
    [
      'a value to trace',
      '/v1/trace',
      () => ({ ...asked(issuer.token({ sub: 'svc:auditor' }), json), body: JSON.stringify({ value: canary }) }),
    ],
    [
      'a cursor',
      `/v1/issuances?cursor=${encodeURIComponent(canary)}`,
      () => ({ ...asked(issuer.token({ sub: 'svc:auditor' })), method: 'GET' }),
    ],
  ];
  it.each(places)('is in no answer: %s', async (_, path, init) => {
    const before = answers.length;
    await send(path, init());
    expect(found(Buffer.from(answers.slice(before).join()))).not.toContain('the canary');
  });
});

it('it would have been found in each of its forms', () => {
  for (const before of ['', 'a', 'ab'])
    for (const encoding of ['base64', 'base64url', 'hex', 'utf8', 'utf16le'] as const) {
      const kept = Buffer.from(`${before}${canary} and more`);
      const bytes =
        encoding === 'utf16le' ? Buffer.from(kept.toString(), encoding) : Buffer.from(kept.toString(encoding));
      expect(found(bytes), `${before} ${encoding}`).toContain('the canary');
    }
});

it('what is handed over, and what comes in the wrong place, is in no file, no line and no sink', async () => {
  const secret = await send(issue, asked(good()));
  const signed = await send('/v1/credentials/partner', asked(good()));
  expect([secret.status, signed.status]).toEqual([200, 200]);
  const { data } = (await signed.json()) as { data: { token: string } };
  lookFor('what was signed', data.token);
  const { handle } = (await secret.json()) as { handle?: string };
  if (handle !== undefined) looked.set('a handle', handle);
  await broker.deployment.forwarder?.run(deadlineIn(5_000, Date.now));
  const whole = () => filesBelow(folder).map((file) => [file, found(readFileSync(file))] as const);
  expect(filesBelow(folder).length).toBeGreaterThan(2);
  expect(readFileSync(join(folder, 'audit.ndjson'), 'utf8')).toContain('stripe-key');
  expect(whole().filter(([, names]) => names.length > 0)).toEqual([]);
  await broker.deployment.close();
  expect(whole().filter(([, names]) => names.length > 0)).toEqual([]);
  expect(lines).toContain('"event"');
  expect(found(Buffer.from(lines))).toEqual([]);
});
