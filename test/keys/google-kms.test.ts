import { createPublicKey } from 'node:crypto';
import { inspect } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { open as openKms } from '../../src/keys/google-kms/kms.ts';
import { members } from '../../src/keys/google-kms/members.ts';
import type { Kms, KmsVersion } from '../../src/keys/kms.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import * as s from '../../src/lib/schema/index.ts';
import { UpstreamError } from '../../src/lib/upstream.ts';
import { describeKms, verifies } from '../contracts/kms.ts';
import { type FakeGoogle, startFakeGoogle, upstreamWords } from '../fakes/google.ts';
import { type FakeAnswer, type FakeFault, startFake } from '../fakes/server.ts';

const open: FakeGoogle[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((google) => google.close()));
});

async function makeGoogle(): Promise<FakeGoogle> {
  const google = await startFakeGoogle();
  open.push(google);
  return google;
}

function kmsAt(google: FakeGoogle, config: { readonly key: string; readonly wrap?: string }): Kms {
  const env = { GCE_METADATA_HOST: google.host };
  return openKms({ kind: 'google-kms', endpoint: google.url, ...config }, { now: Date.now, env, ...nodeIo('.') });
}

const soon = (ms = 5_000) => deadlineIn(ms, Date.now);
const message = new TextEncoder().encode('to be signed');

async function errorOf(work: Promise<unknown>): Promise<UpstreamError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof UpstreamError)) throw error ?? new Error('it did not reject');
  return error;
}

describeKms('google-kms', { never: {} }, async () => {
  const google = await makeGoogle();
  const onKeys = (said: FakeAnswer | FakeFault) => async () => {
    google.server.instead = ({ url }) => (url.pathname.includes('/cryptoKeys/') ? said : undefined);
  };
  const error = { code: 403, message: upstreamWords, status: 'PERMISSION_DENIED' };
  return {
    signing: {
      ES256: kmsAt(google, { key: google.kms.make('ec') }),
      RS256: kmsAt(google, { key: google.kms.make('rsa') }),
    },
    sealing: kmsAt(google, { key: google.kms.make('seal') }),
    provoke: {
      denied: onKeys({ status: 403, body: JSON.stringify({ error }) }),
      unreachable: onKeys('reset'),
      slow: onKeys('hang'),
    },
  };
});

describe('google-kms', () => {
  async function make(): Promise<{ google: FakeGoogle; key: string; kms: Kms }> {
    const google = await makeGoogle();
    const key = google.kms.make('ec');
    return { google, key, kms: kmsAt(google, { key, wrap: google.kms.make('seal') }) };
  }

  it('shows the four newest enabled versions of many, and reads each public key once', async () => {
    const { google, key, kms } = await make();
    for (let i = 0; i < 10; i++) await kms.rotate?.(soon());
    google.kms.disable(key, 10);
    const numbers = async () => (await kms.versions(soon())).map(({ id }) => id.split('/').at(-1));
    expect(await numbers()).toEqual(['11', '9', '8', '7']);
    expect(await numbers()).toEqual(['11', '9', '8', '7']);
    expect(google.callsOf('/publicKey').length).toBe(4);
    google.kms.disable(key, 11);
    expect(await numbers()).toEqual(['9', '8', '7', '6']);
    expect(google.callsOf('/publicKey').length).toBe(5);
  });

  it('says disabled of a version that may no longer sign', async () => {
    const { google, key, kms } = await make();
    const [version] = (await kms.versions(soon())) as [KmsVersion];
    google.kms.disable(key, 1);
    expect(await errorOf(kms.sign(version, message, soon()))).toMatchObject({
      fault: 'disabled',
      facts: { step: 'sign', status: 400, code: 'FAILED_PRECONDITION' },
    });
  });

  const sums = {
    pemCrc32c: (kms: Kms) => kms.versions(soon()),
    signatureCrc32c: (kms: Kms, version: KmsVersion) => kms.sign(version, message, soon()),
    verifiedDataCrc32c: (kms: Kms, version: KmsVersion) => kms.sign(version, message, soon()),
    ciphertextCrc32c: (kms: Kms) => kms.encrypt(message, soon()),
    verifiedPlaintextCrc32c: (kms: Kms) => kms.encrypt(message, soon()),
    plaintextCrc32c: async (kms: Kms) => kms.decrypt(await kms.encrypt(message, soon()), soon()),
  };

  it.each(Object.entries(sums))('refuses an answer with a wrong %s', async (member, ask) => {
    const { google, key, kms } = await make();
    const [version] = (await kms.versions(soon())) as [KmsVersion];
    google.kms.wrong.add(member);
    const fresh = kmsAt(google, { key, wrap: google.kms.make('seal', 'other') });
    expect(await errorOf(ask(fresh, version))).toMatchObject({ fault: 'damaged', facts: { reason: 'checksum' } });
  });

  it('refuses a signature of another version than it asked', async () => {
    const { google, kms } = await make();
    await kms.rotate?.(soon());
    const [newest, oldest] = (await kms.versions(soon())) as [KmsVersion, KmsVersion];
    const answer = { name: oldest.id, signature: '', verifiedDataCrc32c: true };
    google.server.instead = ({ url }) =>
      url.pathname.endsWith(':asymmetricSign') ? { status: 200, body: JSON.stringify(answer) } : undefined;
    expect(await errorOf(kms.sign(newest, message, soon()))).toMatchObject({ fault: 'damaged' });
  });

  it('refuses a key that signs with what no audience takes', async () => {
    const { google } = await make();
    const kms = kmsAt(google, { key: google.kms.make('ec', 'curve') });
    google.server.instead = ({ url }) =>
      url.pathname.endsWith('/publicKey')
        ? { status: 200, body: JSON.stringify({ algorithm: 'EC_SIGN_P384_SHA384', pem: '' }) }
        : undefined;
    expect(await errorOf(kms.versions(soon()))).toMatchObject({ fault: 'invalid', facts: { reason: 'key_type' } });
  });

  it('refuses versions of another key in the list', async () => {
    const { google, kms } = await make();
    const names = ['projects/x/locations/y/keyRings/z/cryptoKeys/other/cryptoKeyVersions/1', 'nothing', '../1'];
    for (const name of names) {
      google.server.instead = ({ url }) =>
        url.pathname.endsWith('/cryptoKeyVersions')
          ? { status: 200, body: JSON.stringify({ cryptoKeyVersions: [{ name, state: 'ENABLED' }] }) }
          : undefined;
      expect(await errorOf(kms.versions(soon()))).toMatchObject({ facts: { reason: 'bad_answer' } });
    }
  });

  it('logs in once for many signatures, and once more when its token is no longer taken', async () => {
    const { google, kms } = await make();
    const [version] = (await kms.versions(soon())) as [KmsVersion];
    await Promise.all(Array.from({ length: 20 }, () => kms.sign(version, message, soon())));
    expect(google.callsOf('/computeMetadata/').length).toBe(1);
    google.tokens.revokeAll();
    expect(verifies(version, message, await kms.sign(version, message, soon()))).toBe(true);
    expect(google.callsOf('/computeMetadata/').length).toBe(2);
  });

  it('follows no redirect, and repeats none of the words it was refused with', async () => {
    const trap = await startFake(() => ({ status: 200, body: '{}' }));
    const { google, kms } = await make();
    const headers = { location: `${trap.url}/v1/x` };
    const onKeys = (said: FakeAnswer) => {
      google.server.instead = ({ url }) => (url.pathname.includes('/cryptoKeys/') ? said : undefined);
    };
    onKeys({ status: 302, headers });
    expect(await errorOf(kms.versions(soon()))).toMatchObject({ facts: { reason: 'redirect' } });
    expect(trap.calls).toEqual([]);
    onKeys({
      status: 429,
      headers: { 'retry-after': '3' },
      body: JSON.stringify({ error: { message: upstreamWords } }),
    });
    const error = await errorOf(kms.versions(soon()));
    expect(error).toMatchObject({ fault: 'throttled', facts: { step: 'versions', retryAfter: 3 } });
    expect(inspect(error, { depth: 20 })).not.toContain(upstreamWords);
    await trap.close();
  });

  it('publishes a key that is the one in Cloud KMS', async () => {
    const { kms } = await make();
    const [{ publicJwk }] = (await kms.versions(soon())) as [KmsVersion];
    expect(createPublicKey({ key: publicJwk as never, format: 'jwk' }).asymmetricKeyDetails).toEqual({
      namedCurve: 'prime256v1',
    });
  });
});

describe('the config of google-kms', () => {
  const schema = s.strictObject(members);
  const key = 'projects/acme-core/locations/europe-west1/keyRings/hallpass/cryptoKeys/assertions';

  it('takes keys by their full name, without a version', () => {
    expect(s.safeParse(schema, { key, wrap: key }).success).toBe(true);
    for (const wrong of [
      'assertions',
      `${key}/cryptoKeyVersions/1`,
      `/${key}`,
      key.replace('hallpass', '..'),
      `${key}?x`,
    ])
      expect(s.safeParse(schema, { key: wrong }).success, wrong).toBe(false);
  });
});
