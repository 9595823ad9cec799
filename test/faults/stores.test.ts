import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FakeAnswer } from '../fakes/server.ts';
import { type FakeKind, fakeKinds } from '../fakes/shelves.ts';
import { makeCertificate } from '../support/certificate.ts';
import { goodCertificate, openRig, type StoreRig } from './store-rig.ts';

/** Stands in every part of every bad answer; none of it may come out anywhere. */
const canary = 'canary-of-the-upstream';
const headers = { 'x-canary': canary, 'www-authenticate': `Bearer realm="${canary}"` };
const bad = (status: number, body: unknown = { error: { message: canary } }, more: object = {}): FakeAnswer => ({
  status,
  statusText: canary,
  headers: { 'content-type': 'application/json', ...headers, ...more },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

const trap = createServer((_, response) => response.end(canary));
let trapped = 0;
trap.on('connection', () => {
  trapped++;
});
beforeAll(() => new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', resolve)));
afterAll(() => trap.close());
const trapUrl = () => `http://127.0.0.1:${(trap.address() as AddressInfo).port}/${canary}`;

/** How each service says "slow down" in its own way, where it is asked for the secret. */
const throttledStores: Readonly<Record<FakeKind, FakeAnswer>> = {
  'aws-secrets-manager': bad(400, { __type: 'ThrottlingException', message: canary }),
  'azure-key-vault': bad(429, { error: { code: 'Throttled', message: canary } }),
  'google-secret-manager': bad(429, { error: { code: 429, status: 'RESOURCE_EXHAUSTED', message: canary } }),
  vault: bad(429, { errors: [`request path "${canary}": rate limit quota exceeded`] }),
  kubernetes: bad(429, { kind: 'Status', reason: 'TooManyRequests', message: canary, code: 429 }),
};

const words = `<Error><Code>Throttling</Code><Message>${canary}</Message></Error>`;
const throttledLogins: Readonly<Partial<Record<FakeKind, FakeAnswer>>> = {
  'aws-secrets-manager': bad(400, `<ErrorResponse>${words}</ErrorResponse>`, { 'content-type': 'text/xml' }),
  'azure-key-vault': bad(429, { error: 'temporarily_unavailable', error_codes: [90055], error_description: canary }),
};

const throttled = (kind: FakeKind, at: Place) => (at === 'login' && throttledLogins[kind]) || throttledStores[kind];

type Place = 'connection' | 'login' | 'read';

/** What the operator's log says of it; a function where services differ. */
type Told = Readonly<Record<string, unknown>> | ((kind: FakeKind, at: Place) => Readonly<Record<string, unknown>>);

interface Fault {
  readonly name: string;
  readonly told: Told;
  /** Default 502 store_failed. */
  readonly face?: string;
  readonly retryAfter?: string;
  /** What is done to the store; the broker's calls meet it at the login, and at the read that follows. */
  readonly answer?: (kind: FakeKind, at: Place) => FakeAnswer | 'hang' | 'cut' | 'reset';
  /** Or to the connection. */
  readonly connection?: (rig: StoreRig) => Promise<void>;
  readonly tls?: boolean;
}

const faults: readonly Fault[] = [
  { name: 'down', connection: (rig) => rig.front.set('down'), told: { reason: 'connection_refused' } },
  { name: 'connection dropped', answer: () => 'reset', told: { reason: 'connection_reset' } },
  {
    name: 'slow',
    answer: () => 'hang',
    face: '504 store_timeout',
    told: (_, at) => (at === 'login' ? { step: 'login', reason: 'slow' } : { reason: 'timeout' }),
  },
  {
    name: '429, Retry-After: 3',
    answer: () => bad(429, undefined, { 'retry-after': '3' }),
    retryAfter: '3',
    told: { reason: 'throttled', status: 429 },
  },
  { name: '500', answer: () => bad(500), told: { reason: 'server_error', status: 500 } },
  {
    name: 'throttled its own way',
    answer: throttled,
    told: (kind, at) => ({ reason: 'throttled', status: throttled(kind, at).status }),
  },
  { name: 'redirect', answer: () => bad(302, '', { location: trapUrl() }), told: { reason: 'redirect' } },
  { name: 'truncated', answer: () => 'cut', told: { reason: 'truncated' } },
  {
    name: 'too large',
    answer: () => bad(200, JSON.stringify({ [canary]: 'x'.repeat(3_000_000) })),
    told: { reason: 'too_large' },
  },
  {
    name: 'not what was asked for',
    answer: () => bad(200, `<html>${canary}</html>`, { 'content-type': 'text/html' }),
    told: { reason: expect.stringMatching(/^(not_json|not_understood)$/) },
  },
  {
    name: 'plain text on the TLS port',
    tls: true,
    connection: (rig) => rig.front.set('plain'),
    told: { reason: 'tls' },
  },
  {
    name: 'wrong CA',
    tls: true,
    connection: (rig) => rig.front.set(makeCertificate('another')),
    told: { reason: 'tls' },
  },
  {
    name: 'clock an hour slow',
    connection: async (rig) => {
      rig.clock.skew = -3_600_000;
    },
    told: (kind) => skewed[kind],
  },
];

/** Google and Kubernetes do not say what was wrong with an assertion. */
const skewed: Readonly<Record<FakeKind, Readonly<Record<string, unknown>>>> = {
  'aws-secrets-manager': { reason: 'clock_skew', status: 400, code: 'ExpiredTokenException' },
  'azure-key-vault': { reason: 'clock_skew', status: 401, code: 'AADSTS700024' },
  'google-secret-manager': { reason: 'denied', status: 400, code: 'invalid_grant' },
  vault: { reason: 'clock_skew', status: 400 },
  kubernetes: { reason: 'login_refused', status: 401, code: 'Unauthorized' },
};

/** The first step of a login, as the log names it. */
const firstStep = (kind: FakeKind, at: Place) =>
  at === 'read' || kind === 'kubernetes' ? 'read' : kind === 'vault' ? 'login' : 'exchange';

const rows: string[][] = [];
describe.for(fakeKinds)('%s', (kind) => {
  // What the first use loads takes no part in what follows.
  beforeAll(async () => {
    const rig = await openRig(kind, { limits: { store: '20s', request: '30s' } });
    expect(await rig.state(), rig.log()).toBe('works');
    await rig.close();
  });

  const places = kind === 'kubernetes' ? (['read'] as const) : (['login', 'read'] as const);
  for (const fault of faults)
    for (const at of fault.connection ? (['connection'] as const) : places)
      it.concurrent(`${fault.name} at the ${at}`, async () => {
        const rig = await openRig(kind, { tls: fault.tls === true });
        try {
          if (fault.tls) await rig.front.set('plain');
          await fault.connection?.(rig);
          if (at !== 'connection') rig.fail(at, fault.answer?.(kind, at));
          const asked = await rig.ask();
          expect(asked).toMatchObject({ face: fault.face ?? '502 store_failed', retryAfter: fault.retryAfter ?? null });
          const told = typeof fault.told === 'function' ? fault.told(kind, at) : fault.told;
          expect(rig.failures).toEqual([
            expect.objectContaining({ store: 'under-test', step: firstStep(kind, at), ...told }),
          ]);
          expect(asked.seen).not.toContain(canary);
          expect(rig.log()).not.toContain(canary);
          rows.push([kind, fault.name, at, asked.face, JSON.stringify(rig.failures[0])]);

          rig.fail('read', undefined);
          if (fault.connection) await rig.front.set(fault.tls ? goodCertificate : 'plain');
          // Past what is believed of a failure, and past a login that hangs.
          rig.clock.skew = 9_000;
          expect(await rig.state(), rig.log()).toBe('works');
        } finally {
          await rig.close();
        }
      });
});

describe.for(fakeKinds)('%s under a crowd', (kind) => {
  it('is asked once by 10,000 that miss at once, also when it fails', async () => {
    const rig = await openRig(kind, { cache: '60s' });
    rig.fail('read', bad(500));
    expect(await rig.readers(10_000)).toEqual({ refused: 10_000 });
    expect(rig.reads()).toBe(1);
    rig.fail('read', undefined);
    expect(await rig.readers(10_000)).toEqual({ value: 10_000 });
    expect(rig.reads()).toBe(2);
    await rig.close();
  });
});

it('makes one call for a crowd at the front door, and answers every one of it', async () => {
  const limits = { openRequests: 2_000, store: '30s', ledger: '30s', request: '60s' };
  const rig = await openRig('vault', { cache: '60s', limits });
  rig.fail('read', bad(500));
  expect(await rig.crowd(1_000)).toEqual({ 502: 1_000 });
  rig.fail('read', undefined);
  expect(await rig.crowd(1_000)).toEqual({ 200: 1_000 });
  expect(rig.reads()).toBe(2);
  await rig.close();
});

it('never went where a redirect pointed', () => {
  expect(rows.length).toBeGreaterThan(90);
  expect(trapped).toBe(0);
});

afterAll(() => {
  const header = ['store', 'fault', 'met at', 'answer', 'operator’s log'];
  const place = (row: readonly string[]) => faults.findIndex(({ name }) => name === row[1]);
  const kindOf = (row: readonly string[]) => fakeKinds.indexOf(row[0] as FakeKind);
  rows.sort((a, b) => kindOf(a) - kindOf(b) || place(a) - place(b) || (a[2] ?? '').localeCompare(b[2] ?? ''));
  const all = [header, ...rows.map((row) => row.map((word) => word.replace('"store":"under-test",', '')))];
  const widths = header.map((_, at) => Math.max(...all.map((row) => (row[at] ?? '').length)));
  const lines = all.map((row) =>
    row
      .map((word, at) => word.padEnd(widths[at] ?? 0))
      .join(' | ')
      .trimEnd(),
  );
  process.stdout.write(`\nFaults of stores\n${lines.join('\n')}\n`);
});
