import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Miniflare } from 'miniflare';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RecordText } from '../../src/ledger/records/record.ts';
import { brokerTypes } from '../../src/ledger/records/writer.ts';
import { instant } from '../../src/lib/time.ts';
import { clockAt, policyHash, scribe } from '../ledger/fixtures.ts';
import { audience, configFor, variables } from '../runtimes/scenario.ts';
import { repository } from '../support/server.ts';

// Somebody runs code of their own in the Worker: every binding is theirs, the ledger's object too, which they may call
// as its handler does. The keys are in the object; what can be had signed?

const dist = join(repository, 'dist');
let workerd: Miniflare;

beforeAll(async () => {
  const config = configFor({ ledger: { kind: 'durable-object', binding: 'LEDGER' }, signer: { kind: 'local' } });
  const chunks = readdirSync(join(dist, 'worker')).map((name) => join(dist, 'worker', name));
  workerd = new Miniflare({
    modules: [join(dist, 'worker.js'), ...chunks].map((path) => ({ type: 'ESModule' as const, path })),
    modulesRoot: dist,
    compatibilityDate: '2026-04-01',
    compatibilityFlags: ['nodejs_compat'],
    bindings: { ...variables, HALLPASS_CONFIG: JSON.stringify(config) },
    handleRuntimeStdio: (...streams: { resume(): unknown }[]) => {
      for (const stream of streams) stream.resume();
    },
    durableObjects: { LEDGER: { className: 'Ledger', useSQLite: true } },
  });
  await workerd.ready;
});
afterAll(() => workerd.dispose());

async function call(method: string, ...given: unknown[]) {
  const namespace = await workerd.getDurableObjectNamespace('LEDGER');
  const stub = namespace.get(namespace.idFromName('ledger'));
  const body = JSON.stringify({ left: 5_000, arguments: given });
  const response = await stub.fetch(`https://ledger.invalid/${method}`, { method: 'POST', body });
  return (await response.json()) as { value?: never; refusal?: { code: string } };
}

const clock = clockAt(Date.now());
const write = scribe(clock, { name: audience, instance: 'stolen', version: '0.1.0' });

function issuance(claims: Record<string, unknown> = {}, credential = 'partner'): RecordText {
  const id = write.id();
  const iat = Math.floor(clock.at / 1000);
  const standard = { iss: `${audience}/workloads`, aud: 'https://api.partner.example', sub: 'shop:checkout' };
  const signed = { ...standard, iat, nbf: iat, exp: iat + 300, jti: id, ...claims };
  const lease = { expiresAt: instant((iat + 300) * 1000), ttl: 300, revocable: false };
  const mint = { use: 'jwt' as const, alg: 'ES256', claims: signed as never };
  return write.issuance(id, { credential, kind: 'jwt', lease }, { mint });
}
const request = (entry: RecordText) => ({ entries: [entry], epoch: 0, policy: policyHash });
const everyRight = { name: audience, types: [...brokerTypes], mint: 'all' };

describe('a Worker in the wrong hands', () => {
  test('gets a token signed only with its record in the ledger', async () => {
    const entry = issuance();
    const { value } = (await call('append', request(entry))) as unknown as {
      value: { receipts: { index: number }[]; minted: string[] };
    };
    expect(value.minted[0]).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    const { value: listed } = (await call('list', { limit: 10 })) as unknown as {
      value: { index: number; record: string }[];
    };
    expect(listed.find(({ index }) => index === value.receipts[0]?.index)?.record).toBe(entry.record);
  });

  test.each<[string, RecordText]>([
    ['a credential that is not signed', issuance({}, 'stripe-key')],
    ['a credential that does not exist', issuance({}, 'unknown')],
    ['another audience', issuance({ aud: 'https://sts.example' })],
    ['the issuer of sessions', issuance({ iss: audience })],
    ['another subject', issuance({ sub: 'shop:admin' })],
    ['a longer life', issuance({ exp: Math.floor(clock.at / 1000) + 86_400 })],
  ])('gets nothing signed for %s, whatever rights it claims', async (_, entry) => {
    for (const answer of [await call('append', request(entry)), await call('accept', request(entry), everyRight)]) {
      expect(answer).toMatchObject({ refusal: { code: 'denied' } });
    }
  });

  test('gets no private key by any call', async () => {
    const { value } = (await call('keys')) as unknown as { value: { assertions: object[]; workloads: object[] } };
    for (const jwk of [...value.assertions, ...value.workloads]) expect(jwk).not.toHaveProperty('d');
    for (const method of ['signer', 'sign', 'mint', 'constructor', '__proto__', 'close', 'reader']) {
      expect(await call(method)).toMatchObject({ refusal: { code: 'ledger_unavailable' } });
    }
  });
});
