import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { open } from '../../src/keys/azure-key-vault-keys/kms.ts';
import { azureKeyMembers } from '../../src/keys/azure-key-vault-keys/members.ts';
import { azureKeyVaultKeys } from '../../src/keys/azure-key-vault-keys.ts';
import type { Kms, KmsVersion } from '../../src/keys/kms.ts';
import { type Deadline, deadlineIn } from '../../src/lib/deadline.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import * as s from '../../src/lib/schema/index.ts';
import { UpstreamError } from '../../src/lib/upstream.ts';
import { describeKms, verifies } from '../contracts/kms.ts';
import { describeSigner } from '../contracts/signer.ts';
import { type AzureFake, identityHeader, managed, startAzure } from '../fakes/azure.ts';
import { json, refusal } from '../fakes/azure-answers.ts';
import type { FakeAnswer, FakeCall, FakeFault } from '../fakes/server.ts';

let azure: AzureFake;
beforeAll(async () => {
  azure = await startAzure();
});
afterEach(() => {
  azure.server.instead = undefined;
});
afterAll(() => azure.stop());

const soon = (ms = 8_000): Deadline => deadlineIn(ms, Date.now);
const isKeyCall = ({ url }: FakeCall) => url.pathname.startsWith('/keys/');
const keysInstead = (answer: FakeAnswer | FakeFault) => {
  azure.server.instead = (call) => (isKeyCall(call) ? answer : undefined);
};

const depsWith = (env: Record<string, string> = {}) => ({
  ...nodeIo('.'),
  now: Date.now,
  env: { IDENTITY_ENDPOINT: `${azure.url}/msi/token`, IDENTITY_HEADER: identityHeader, ...env },
});

let made = 0;
/** A key of its own for each caller. */
function openKey(type: 'ec' | 'rsa', more: object = {}, env: Record<string, string> = {}): Kms {
  const config = s.parse(s.strictObject(azureKeyMembers), { vault: azure.url, key: `${type}-${++made}`, ...more });
  return open(config, depsWith(env));
}

async function errorOf(work: Promise<unknown>): Promise<UpstreamError> {
  const error = await work.then(
    () => new Error('it did not reject'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof UpstreamError)) throw error;
  return error;
}

describeKms('azure-key-vault-keys', { never: {} }, async () => ({
  signing: { ES256: openKey('ec'), RS256: openKey('rsa') },
  sealing: openKey('ec', { wrap: `rsa-${++made}` }),
  provoke: {
    denied: async () => keysInstead(refusal(403, 'Forbidden', 'ForbiddenByRbac')),
    unreachable: async () => keysInstead('reset'),
    slow: async () => keysInstead('hang'),
  },
}));

for (const type of ['ec', 'rsa'] as const)
  describeSigner('azure-key-vault-keys', `an ${type.toUpperCase()} key that the vault signs with`, async () => {
    const { open } = await azureKeyVaultKeys.load();
    const entry = s.parse(azureKeyVaultKeys.schema, {
      kind: 'azure-key-vault-keys',
      vault: azure.url,
      key: `${type}-signer`,
    });
    const read = () => Promise.reject(new Error('nothing is read'));
    return open(entry, { ...depsWith(), random: randomBytes, read }).keys(soon());
  });

describe('azure-key-vault-keys', () => {
  it('signs by one call, and logs in once for all of them, by the identity named', async () => {
    const kms = openKey('ec', { identity: managed });
    const [version] = (await kms.versions(soon())) as [KmsVersion];
    const before = azure.calls.length;
    const data = randomBytes(100);
    const signatures = await Promise.all(Array.from({ length: 20 }, () => kms.sign(version, data, soon())));
    expect(signatures.every((signature) => verifies(version, data, signature))).toBe(true);
    const calls = azure.calls.slice(before);
    expect(calls.map(({ url }) => url.pathname.split('/').at(-1))).toEqual(Array(20).fill('sign'));
    expect(azure.calls.findLast(({ url }) => url.pathname === '/msi/token')?.url.searchParams.get('client_id')).toBe(
      managed,
    );
  });

  it('opens what an earlier version of the key sealed', async () => {
    const kms = openKey('rsa');
    const sealed = await kms.encrypt(Buffer.from('sealed before'), soon());
    await kms.rotate?.(soon());
    expect(Buffer.from(await kms.decrypt(sealed, soon())).toString()).toBe('sealed before');
  });

  it('shows the four newest versions that may sign now', async () => {
    const kms = openKey('ec');
    for (let n = 0; n < 5; n++) await kms.rotate?.(soon());
    expect((await kms.versions(soon())).length).toBe(4);
  });

  it('leaves out versions that are disabled, expired or not yet valid', async () => {
    const kms = openKey('ec');
    const [one] = (await kms.versions(soon())) as [KmsVersion];
    const now = Math.floor(Date.now() / 1000);
    const others = [
      { enabled: false, created: now },
      { enabled: true, created: now, exp: now - 1 },
      { enabled: true, created: now, nbf: now + 60 },
    ];
    azure.server.instead = ({ url }) => {
      if (!url.pathname.endsWith('/versions')) return undefined;
      const name = url.pathname.split('/')[2];
      const item = (id: string, attributes: object) => ({ kid: `${azure.url}/keys/${name}/${id}`, attributes });
      const wrong = others.map((attributes, at) => item(`${at}`.repeat(32), attributes));
      const nextLink = `${azure.url}${url.pathname}?more`;
      if (url.search !== '?more') return json(200, { value: wrong, nextLink });
      return json(200, { value: [item(one.id, { enabled: true, created: now - 9 })] });
    };
    expect(await kms.versions(soon())).toEqual([one]);
  });

  it('shows a key in hardware like any other, and refuses a curve no token is signed with', async () => {
    const kms = openKey('ec');
    const [one] = (await kms.versions(soon())) as [KmsVersion];
    const answer = (key: object) => {
      azure.server.instead = ({ url }) => (url.pathname.endsWith(one.id) ? json(200, { key }) : undefined);
    };
    answer({ ...one.publicJwk, kty: 'EC-HSM' });
    expect(await kms.versions(soon())).toEqual([one]);
    answer({ ...one.publicJwk, crv: 'P-384' });
    expect((await errorOf(kms.versions(soon()))).facts.reason).toBe('key_type');
  });

  it('drops a session that is no longer taken, and begins another within the same call', async () => {
    const kms = openKey('ec');
    const [version] = (await kms.versions(soon())) as [KmsVersion];
    azure.forgetTokens();
    expect(verifies(version, randomBytes(0), await kms.sign(version, randomBytes(0), soon()))).toBe(true);
  });

  it.each([
    ['missing', { key: 'missing' }, { fault: 'absent', step: 'versions', code: 'KeyNotFound' }],
    ['unreadable', {}, { fault: 'unreachable', step: 'versions', reason: 'not_understood' }],
  ])('says what is wrong with a key that is %s', async (what, more, expected) => {
    const kms = openKey('ec', more);
    if (what === 'unreadable') keysInstead(json(200, { value: [{ kid: 'canary', attributes: {} }] }));
    const { fault, facts } = await errorOf(kms.versions(soon()));
    expect({ fault, ...facts }).toMatchObject(expected);
  });

  it('goes nowhere by the links of a list, nor round for ever', async () => {
    const kms = openKey('ec');
    keysInstead(json(200, { value: [], nextLink: 'http://127.0.0.1:1/keys' }));
    expect((await errorOf(kms.versions(soon()))).facts.reason).toBe('foreign_link');
    keysInstead(json(200, { value: [], nextLink: `${azure.url}/keys/again` }));
    expect((await errorOf(kms.versions(soon()))).facts.reason).toBe('too_many_pages');
  });

  it('says that there is no identity, and asks nobody', async () => {
    const kms = openKey('ec', {}, { IDENTITY_ENDPOINT: '', IDENTITY_HEADER: '' });
    const before = azure.calls.length;
    expect((await errorOf(kms.versions(soon()))).facts).toMatchObject({ step: 'login', reason: 'no_ambient_identity' });
    expect(azure.calls.length).toBe(before);
  });
});
