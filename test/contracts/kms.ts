import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { SigningAlgorithm } from '../../src/keys/keys.ts';
import type { Kms, KmsVersion } from '../../src/keys/kms.ts';
import { type Deadline, deadlineIn } from '../../src/lib/deadline.ts';
import { UpstreamError, type UpstreamFault } from '../../src/lib/upstream.ts';

type Provoked = 'denied' | 'unreachable' | 'slow';

export interface KmsFixture {
  /** A key of the service per algorithm it can sign with, at least one. */
  readonly signing: Readonly<Partial<Record<SigningAlgorithm, Kms>>>;
  /** A key of the service that encrypts and decrypts; the same where one can do both. */
  readonly sealing: Kms;
  /** Makes the service answer so from now on, whatever it is asked. */
  readonly provoke: Readonly<Partial<Record<Provoked, () => Promise<void>>>>;
}

export interface KmsTraits {
  /** Why the service makes no next version of a key. */
  readonly noRotation?: string;
  /** Why a changed text is opened all the same. */
  readonly unsealed?: string;
  /** Why a fault cannot be shown for this service. */
  readonly never: Readonly<Partial<Record<Provoked, string>>>;
}

const soon = (ms = 8_000): Deadline => deadlineIn(ms, Date.now);

/** The fault a promise rejects with; anything but an UpstreamError fails the test. */
async function faultOf(work: Promise<unknown>): Promise<UpstreamFault> {
  const error = await work.then(
    () => new Error('it did not reject'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof UpstreamError)) throw error;
  return error.fault;
}

/** Whether it is a JWS signature of the version's algorithm over the data, as node:crypto sees it. */
export function verifies({ alg, publicJwk }: KmsVersion, data: Uint8Array, signature: Uint8Array): boolean {
  const key = createPublicKey({ key: publicJwk as never, format: 'jwk' });
  return verify('sha256', data, alg === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' } : key, signature);
}

/** What every KMS must do for a signer. `make` gives fresh keys, each of one version, for each test. */
export function describeKms(name: string, traits: KmsTraits, make: () => Promise<KmsFixture>): void {
  const each = async (work: (kms: Kms, alg: string) => Promise<void>) => {
    const { signing } = await make();
    expect(Object.keys(signing).length).toBeGreaterThan(0);
    for (const [alg, kms] of Object.entries(signing)) await work(kms, alg);
  };

  describe(`${name} keeps the KMS contract`, () => {
    it('shows its versions: the public key as a bare JWK, the same each time', async () => {
      await each(async (kms, alg) => {
        const versions = await kms.versions(soon());
        expect(versions.map((version) => version.alg)).toEqual([alg]);
        const members = alg === 'ES256' ? ['crv', 'kty', 'x', 'y'] : ['e', 'kty', 'n'];
        expect(Object.keys(versions[0]?.publicJwk ?? {}).sort()).toEqual(members);
        expect(await kms.versions(soon())).toEqual(versions);
      });
    });

    it('signs what node:crypto verifies with the published key, many at once', async () => {
      await each(async (kms) => {
        const [version] = (await kms.versions(soon())) as [KmsVersion];
        const messages = [
          new Uint8Array(0),
          new Uint8Array(20_000),
          ...Array.from({ length: 6 }, () => randomBytes(99)),
        ];
        const signatures = await Promise.all(messages.map((data) => kms.sign(version, data, soon())));
        for (const [at, data] of messages.entries()) {
          expect(verifies(version, data, signatures[at] as Uint8Array)).toBe(true);
          expect(verifies(version, randomBytes(12), signatures[at] as Uint8Array)).toBe(false);
        }
      });
    });

    it('gives back what it encrypted, and never the same text for it twice', async () => {
      const { sealing } = await make();
      for (const plain of [randomBytes(32), randomBytes(64)]) {
        const [first, second] = [await sealing.encrypt(plain, soon()), await sealing.encrypt(plain, soon())];
        expect(Buffer.from(first).equals(second)).toBe(false);
        expect(Buffer.from(first).includes(plain)).toBe(false);
        expect(Buffer.from(await sealing.decrypt(first, soon())).equals(plain)).toBe(true);
        expect(Buffer.from(await sealing.decrypt(second, soon())).equals(plain)).toBe(true);
      }
    });

    it('refuses to decrypt what was changed or is not its own', async () => {
      const { sealing } = await make();
      const sealed = Uint8Array.from(await sealing.encrypt(randomBytes(32), soon()));
      const at = sealed.length - 2;
      sealed[at] = (sealed[at] as number) ^ 1;
      const changed = traits.unsealed === undefined ? [sealed] : [];
      for (const wrong of [...changed, randomBytes(96), new Uint8Array(0)])
        expect(['invalid', 'denied', 'damaged', 'absent']).toContain(await faultOf(sealing.decrypt(wrong, soon())));
    });

    it('says slow when the time is already over', async () => {
      const { signing, sealing } = await make();
      const kms = Object.values(signing)[0] as Kms;
      const [version] = (await kms.versions(soon())) as [KmsVersion];
      expect(await faultOf(kms.versions(soon(-1)))).toBe('slow');
      expect(await faultOf(kms.sign(version, randomBytes(8), soon(-1)))).toBe('slow');
      expect(await faultOf(sealing.encrypt(randomBytes(32), soon(-1)))).toBe('slow');
    });

    for (const fault of ['denied', 'unreachable', 'slow'] as const) {
      it.skipIf(traits.never[fault] !== undefined)(`says ${fault}, whatever it was asked`, async () => {
        const { signing, sealing, provoke } = await make();
        const kms = Object.values(signing)[0] as Kms;
        const [version] = (await kms.versions(soon())) as [KmsVersion];
        const sealed = await sealing.encrypt(randomBytes(32), soon());
        await provoke[fault]?.();
        const ms = fault === 'slow' ? 400 : 8_000;
        expect(await faultOf(kms.versions(soon(ms)))).toBe(fault);
        expect(await faultOf(kms.sign(version, randomBytes(8), soon(ms)))).toBe(fault);
        expect(await faultOf(sealing.decrypt(sealed, soon(ms)))).toBe(fault);
      });
    }

    it.skipIf(traits.noRotation !== undefined)('makes a next version: both sign, the newest comes first', async () => {
      await each(async (kms) => {
        const [old] = (await kms.versions(soon())) as [KmsVersion];
        await kms.rotate?.(soon());
        const versions = await kms.versions(soon());
        expect(versions.length).toBe(2);
        expect(versions[1]).toEqual(old);
        expect(versions[0]?.publicJwk).not.toEqual(old.publicJwk);
        for (const version of versions)
          expect(verifies(version, toSign, await kms.sign(version, toSign, soon()))).toBe(true);
      });
    });

    it.runIf(traits.noRotation !== undefined)('offers no rotation of its own', async () => {
      await each(async (kms) => expect(kms.rotate).toBeUndefined());
    });
  });
}

const toSign = new TextEncoder().encode('to be signed');
