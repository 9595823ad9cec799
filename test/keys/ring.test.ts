import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { deriveCheckpointSeed, deriveWorkloadsKey } from '../../src/keys/derive.ts';
import { signers } from '../../src/keys/index.ts';
import { KeyError, newPrivateKey, parsePrivateKey } from '../../src/keys/private-key.ts';
import { openKeyRing } from '../../src/keys/ring.ts';
import * as s from '../../src/lib/schema/index.ts';
import { depsWith, ecPem, objectWith, rsaPem, soon } from './fixtures.ts';

const folder = mkdtempSync(join(tmpdir(), 'hallpass-keys-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const behindRef = (name: string) => ({ kind: 'local', key: { store: 'vars', name } });
const inFolder = (path: string) => ({ kind: 'local', path });
const withFolder = () => depsWith({}, { folder });

describe('openKeyRing', () => {
  it('makes a key in the folder on first start, 0600, and takes the same one ever after', async () => {
    const first = await openKeyRing({ signer: inFolder('a') }, withFolder(), soon());
    const again = await openKeyRing({ signer: inFolder('a') }, withFolder(), soon());
    expect(first.assertions.map(({ alg }) => alg)).toEqual(['ES256']);
    expect(again.assertions[0]?.kid).toBe(first.assertions[0]?.kid);
    expect(readdirSync(join(folder, 'a'))).toEqual(['es256.pem']);
    expect(statSync(join(folder, 'a', 'es256.pem')).mode & 0o777).toBe(0o600);
  });

  it('agrees on one key when many start at once', async () => {
    const rings = await Promise.all(
      Array.from({ length: 20 }, () => openKeyRing({ signer: inFolder('b') }, withFolder(), soon())),
    );
    expect(new Set(rings.map(({ assertions }) => assertions[0]?.kid)).size).toBe(1);
  });

  it('signs with an RSA key that lies beside, too', async () => {
    await openKeyRing({ signer: inFolder('c') }, withFolder(), soon());
    writeFileSync(join(folder, 'c', 'rs256.pem'), rsaPem());
    const { assertions } = await openKeyRing({ signer: inFolder('c') }, withFolder(), soon());
    expect(assertions.map(({ alg }) => alg)).toEqual(['ES256', 'RS256']);
  });

  it('makes an RSA key beside where a store takes nothing else, and none where another signer has one', async () => {
    const needs = ['RS256'] as const;
    const deps = depsWith({ R: rsaPem() }, { folder, needs });
    const made = await openKeyRing({ signer: inFolder('r') }, deps, soon());
    expect(made.assertions.map(({ alg }) => alg)).toEqual(['ES256', 'RS256']);
    expect(readdirSync(join(folder, 'r')).sort()).toEqual(['es256.pem', 'rs256.pem']);
    await openKeyRing({ signer: [inFolder('s'), behindRef('R')] }, deps, soon());
    expect(readdirSync(join(folder, 's'))).toEqual(['es256.pem']);
    const object = objectWith(newPrivateKey());
    const held = await openKeyRing({ signer: { kind: 'local' } }, depsWith({}, { object, needs }), soon());
    expect(held.assertions.map(({ alg }) => alg)).toEqual(['ES256', 'RS256']);
  });

  it('says what is missing where a store takes only RS256 and no signer makes keys', async () => {
    const deps = depsWith({ E: ecPem() }, { needs: ['RS256'] });
    await expect(openKeyRing({ signer: behindRef('E') }, deps, soon())).rejects.toThrow('takes RS256 only');
  });

  it('refuses more than four keys in all', async () => {
    const pems = { A: ecPem(), B: ecPem(), C: ecPem(), D: ecPem(), E: ecPem() };
    const signer = Object.keys(pems).map(behindRef);
    await expect(openKeyRing({ signer }, depsWith(pems), soon())).rejects.toThrow('has 5 keys');
    expect((await openKeyRing({ signer: signer.slice(1) }, depsWith(pems), soon())).assertions).toHaveLength(4);
  });

  it('derives from the oldest key of a folder, so that the next one changes nothing', async () => {
    const before = await openKeyRing({ signer: inFolder('t') }, withFolder(), soon());
    writeFileSync(join(folder, 't', 'es256-2.pem'), ecPem());
    const after = await openKeyRing({ signer: inFolder('t') }, withFolder(), soon());
    expect(after.assertions).toHaveLength(2);
    expect(after.assertions[1]?.kid).toBe(before.assertions[0]?.kid);
    expect(after.secret).toEqual(before.secret);
    expect(after.workloads?.kid).toBe(before.workloads?.kid);
  });

  it('changes nothing when the signer’s own private value becomes ledger.seed', async () => {
    const deps = depsWith({ E: ecPem() });
    const before = await openKeyRing({ signer: behindRef('E') }, deps, soon());
    const after = await openKeyRing({ signer: behindRef('E'), seed: before.secret as Uint8Array }, deps, soon());
    expect(after.checkpointSeed).toEqual(before.checkpointSeed);
    expect(after.workloads?.kid).toBe(before.workloads?.kid);
  });

  it('refuses a damaged key file and leaves it as it is', async () => {
    await openKeyRing({ signer: inFolder('d') }, withFolder(), soon());
    const file = join(folder, 'd', 'es256.pem');
    writeFileSync(file, '');
    await expect(openKeyRing({ signer: inFolder('d') }, withFolder(), soon())).rejects.toThrow(KeyError);
    expect(readFileSync(file, 'utf8')).toBe('');
  });

  it('takes a key behind a REF to sign assertions itself, and derives the others from it', async () => {
    const pem = ecPem();
    const { assertions, workloads, checkpointSeed, secret } = await openKeyRing(
      { signer: behindRef('K') },
      depsWith({ K: pem }),
      soon(),
    );
    const key = parsePrivateKey(pem);
    expect(assertions[0]?.kid).toBe(key.kid);
    expect(workloads?.kid).toBe(deriveWorkloadsKey(key.input).kid);
    expect(workloads?.kid).not.toBe(key.kid);
    expect(checkpointSeed).toEqual(deriveCheckpointSeed(key.input));
    expect(secret).toEqual(key.input);
  });

  it('derives from ledger.seed when there is one, and from the first signer otherwise', async () => {
    const deps = depsWith({ E: ecPem(), R: rsaPem() });
    const seed = randomBytes(32);
    const seeded = await openKeyRing({ signer: [behindRef('E'), behindRef('R')], seed }, deps, soon());
    expect(seeded.workloads?.kid).toBe(deriveWorkloadsKey(seed).kid);
    expect(seeded.checkpointSeed).toEqual(deriveCheckpointSeed(seed));
    const first = await openKeyRing({ signer: [behindRef('R'), behindRef('E')] }, deps, soon());
    expect(first.assertions.map(({ alg }) => alg)).toEqual(['RS256', 'ES256']);
    const alone = await openKeyRing({ signer: behindRef('R') }, deps, soon());
    expect(first.workloads?.kid).toBe(alone.workloads?.kid);
    await expect(openKeyRing({ signer: behindRef('E'), seed: randomBytes(31) }, deps, soon())).rejects.toThrow(
      '32 bytes',
    );
  });

  it('holds no minting key where the ledger is elsewhere', async () => {
    const ring = await openKeyRing({ signer: behindRef('E'), ledgerElsewhere: true }, depsWith({ E: ecPem() }), soon());
    expect(ring.assertions.length).toBe(1);
    expect(ring.workloads).toBeUndefined();
    expect(ring.checkpointSeed).toBeUndefined();
  });

  it('takes the key a Durable Object keeps, and says so where there is none', async () => {
    const held = newPrivateKey();
    const ring = await openKeyRing({ signer: { kind: 'local' } }, depsWith({}, { object: objectWith(held) }), soon());
    expect(ring.assertions[0]?.kid).toBe(parsePrivateKey(held).kid);
    await expect(openKeyRing({ signer: { kind: 'local' } }, depsWith(), soon())).rejects.toThrow('path or key');
    await expect(openKeyRing({ signer: inFolder('e') }, depsWith(), soon())).rejects.toThrow('no file system');
  });

  it('passes on that a REF could not be read, and refuses what is no text', async () => {
    await expect(openKeyRing({ signer: behindRef('K') }, depsWith(), soon())).rejects.toMatchObject({
      code: 'store_failed',
    });
    const binary = depsWith({ K: new Uint8Array([0xff, 0xfe]) });
    await expect(openKeyRing({ signer: behindRef('K') }, binary, soon())).rejects.toThrow('not text');
  });
});

describe('the local signer’s config', () => {
  it.each([
    [{ kind: 'local' }, true],
    [{ kind: 'local', path: './keys' }, true],
    [behindRef('K'), true],
    [{ ...behindRef('K'), path: './keys' }, false],
    [{ kind: 'local', path: '' }, false],
    [{ kind: 'local', key: 'a-text' }, false],
  ])('%j: %s', (entry, fine) => {
    const schema = signers.find(({ name }) => name === 'local')?.schema;
    expect(s.safeParse(schema as never, entry).success).toBe(fine);
  });
});
