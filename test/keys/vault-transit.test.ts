import { afterEach, describe, expect, it } from 'vitest';
import type { Kms, KmsVersion } from '../../src/keys/kms.ts';
import { open as openKms } from '../../src/keys/vault-transit/kms.ts';
import { members } from '../../src/keys/vault-transit/members.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import * as s from '../../src/lib/schema/index.ts';
import { UpstreamError } from '../../src/lib/upstream.ts';
import { describeKms } from '../contracts/kms.ts';
import { makeAsserter } from '../fakes/federation.ts';
import type { FakeAnswer, FakeFault } from '../fakes/server.ts';
import { type FakeVault, startVault } from '../fakes/vault.ts';

const open: FakeVault[] = [];
afterEach(async () => {
  for (const fake of open.splice(0)) await fake.close();
});

const soon = (ms = 5_000) => deadlineIn(ms, Date.now);
const message = new TextEncoder().encode('to be signed');

async function make(): Promise<{ fake: FakeVault; kms: (key: string, wrap?: string) => Kms; shown: string[] }> {
  const cluster = makeAsserter({ issuer: 'https://cluster.example', subject: 'system:serviceaccount:hallpass:ledger' });
  const fake = await startVault();
  open.push(fake);
  const { issuer, subject, keys } = cluster;
  fake.roles.set('ledger', { issuer, subject, keys, audience: 'bao' });
  fake.transit.make('ec', 'ecdsa-p256');
  fake.transit.make('rsa', 'rsa-2048');
  fake.transit.make('seal', 'aes256-gcm96');
  fake.transit.make('ed', 'ed25519');
  const shown: string[] = [];
  const readFile = async (path: string) => {
    shown.push(path);
    return Buffer.from(await cluster.assert({ audience: 'bao', algorithms: ['ES256'], ttl: 300 }));
  };
  const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };
  const kms = (key: string, wrap?: string) => {
    const entry = s.parse(s.object(members), { address: fake.url, role: 'ledger', key, wrap });
    return openKms(entry, { now: Date.now, ...nodeIo('.'), env, readFile });
  };
  return { fake, kms, shown };
}

async function errorOf(work: Promise<unknown>): Promise<UpstreamError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof UpstreamError)) throw error ?? new Error('it did not reject');
  return error;
}

describeKms('vault-transit', { never: {} }, async () => {
  const { fake, kms } = await make();
  const onKeys = (said: FakeAnswer | FakeFault) => async () => {
    fake.server.instead = ({ url }) => (url.pathname.startsWith('/v1/transit/') ? said : undefined);
  };
  return {
    signing: { ES256: kms('ec'), RS256: kms('rsa') },
    sealing: kms('ec', 'seal'),
    provoke: {
      denied: onKeys({ status: 403, body: '{"errors":["permission denied"]}' }),
      unreachable: onKeys('reset'),
      slow: onKeys('hang'),
    },
  };
});

describe('vault-transit', () => {
  it('logs in once, by the token of the pod it runs in', async () => {
    const { fake, kms, shown } = await make();
    const signer = kms('ec');
    await Promise.all(Array.from({ length: 20 }, () => signer.versions(soon())));
    expect(shown).toEqual(['/var/run/secrets/kubernetes.io/serviceaccount/token']);
    expect(fake.calls.filter(({ url }) => url.pathname === '/v1/auth/jwt/login').length).toBe(1);
  });

  it('shows the four newest versions that may still sign', async () => {
    const { fake, kms } = await make();
    const signer = kms('ec');
    for (let at = 0; at < 11; at++) await signer.rotate?.(soon());
    const ids = async () => (await signer.versions(soon())).map(({ id }) => id);
    expect(await ids()).toEqual(['12', '11', '10', '9']);
    const key = fake.transit.keys.get('ec');
    if (key !== undefined) key.leastToSign = 11;
    expect(await ids()).toEqual(['12', '11']);
  });

  it('signs with the version it was asked for, and takes no other version’s signature', async () => {
    const { fake, kms } = await make();
    const signer = kms('ec');
    const [version] = (await signer.versions(soon())) as [KmsVersion];
    for (const signature of ['vault:v2:AAAA', 'vault:v1:', 'vault:v1:not base64url!', 'AAAA', 7]) {
      fake.server.instead = () => ({ status: 200, body: JSON.stringify({ data: { signature } }) });
      expect((await errorOf(signer.sign(version, message, soon()))).facts.reason).toBe('unexpected_answer');
    }
  });

  it('says what is wrong with a key: of a type that signs no token, or not there', async () => {
    const { kms } = await make();
    for (const key of ['ed', 'seal'])
      expect(await errorOf(kms(key).versions(soon()))).toMatchObject({
        fault: 'invalid',
        facts: { step: 'key', reason: 'key_type' },
      });
    expect((await errorOf(kms('none').versions(soon()))).fault).toBe('absent');
    const [version] = (await kms('ec').versions(soon())) as [KmsVersion];
    const gone = await errorOf(kms('none').sign(version, message, soon()));
    expect([gone.fault, gone.facts]).toMatchObject(['absent', { step: 'sign', code: 'no_such_key' }]);
    expect((await errorOf(kms('ec').encrypt(message, soon()))).fault).toBe('invalid');
  });

  it('sends nothing for decryption that no transit engine wrote', async () => {
    const { fake, kms } = await make();
    const sealing = kms('ec', 'seal');
    for (const text of ['', 'vault:v1:', 'vault:v1:a"b', 'vault:vx:AAAA', 'aws:v1:AAAA'])
      expect((await errorOf(sealing.decrypt(Buffer.from(text), soon()))).facts.reason).toBe('not_a_ciphertext');
    expect(fake.calls).toEqual([]);
  });

  it('takes no name that would leave its path', () => {
    const parses = (more: Record<string, unknown>) =>
      s.safeParse(s.strictObject(members), { address: 'https://bao.example', role: 'r', key: 'k', ...more }).success;
    expect(parses({})).toBe(true);
    for (const name of ['', '.', '..', '../sys', 'a/b', 'a?b', 'a%2fb']) {
      expect(parses({ key: name }), name).toBe(false);
      expect(parses({ wrap: name }), name).toBe(false);
    }
    expect(parses({ token: 's.x' })).toBe(false);
    expect(parses({ role: undefined })).toBe(false);
  });
});
