import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { KeyError } from '../../src/keys/private-key.ts';
import { settledMs } from '../../src/keys/rotation-times.ts';
import { sealKeys, unsealKeys } from '../../src/keys/sealed-keys.ts';
import { openWrapped } from '../../src/keys/wrapped.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import type { Secret } from '../../src/lib/secret.ts';
import { depsWith, ecPem, objectWith, soon } from './fixtures.ts';
import { memoryKms } from './memory-kms.ts';

const folder = mkdtempSync(join(tmpdir(), 'hallpass-wrapped-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const { random } = depsWith();
const config = (wrapped: object, key = 'alias/hallpass') => ({ kind: 'aws-kms', key, wrapped }) as never;
const inFolder = (more = {}) => depsWith({}, { folder, ...more });
const kids = async (signer: ReturnType<typeof openWrapped>) => (await signer.keys(soon())).map(({ kid }) => kid);

describe('sealed keys', () => {
  const owner = { kind: 'aws-kms', key: 'alias/hallpass' };
  const made = [{ pem: ecPem(), made: '2026-01-01T00:00:00Z' }];

  it('open with the KMS that sealed them, and hold no private key in clear', async () => {
    const kms = memoryKms();
    const text = await sealKeys(made, owner, kms, random, soon());
    expect(JSON.parse(text)).toMatchObject({ v: 1, ...owner });
    expect(text).not.toContain('PRIVATE');
    expect(await unsealKeys(text, owner, kms, soon())).toEqual(made);
  });

  it('open for no other key of the KMS, even where somebody rewrote the name', async () => {
    const kms = memoryKms();
    const text = await sealKeys(made, owner, kms, random, soon());
    await expect(unsealKeys(text, { ...owner, key: 'alias/other' }, kms, soon())).rejects.toThrow('were sealed for');
    const renamed = text.replace('alias/hallpass', 'alias/other');
    await expect(unsealKeys(renamed, { ...owner, key: 'alias/other' }, kms, soon())).rejects.toThrow('as they were');
  });

  it('are refused when a byte of them changed, without a call that could tell more', async () => {
    const kms = memoryKms();
    const sealed = JSON.parse(await sealKeys(made, owner, kms, random, soon()));
    const flip = (text: string) => `${text.startsWith('A') ? 'B' : 'A'}${text.slice(1)}`;
    const changed = (name: 'keys' | 'dataKey') => JSON.stringify({ ...sealed, [name]: flip(sealed[name]) });
    await expect(unsealKeys(changed('keys'), owner, kms, soon())).rejects.toThrow(KeyError);
    await expect(unsealKeys(changed('dataKey'), owner, kms, soon())).rejects.toThrow(Refusal);
    for (const text of ['', '{}', '[]', JSON.stringify({ ...sealed, v: 2 }), 'x'.repeat(70_000)])
      await expect(unsealKeys(text, owner, kms, soon())).rejects.toThrow('no sealed keys');
    expect(kms.calls.decrypt).toBe(2);
  });
});

describe('a wrapped signer', () => {
  it('makes its keys on the first start, 0600, and opens them by one call ever after', async () => {
    const kms = memoryKms();
    const first = await kids(openWrapped(config({ path: 'a' }), kms, inFolder()));
    expect(readdirSync(join(folder, 'a'))).toEqual(['sealed.json']);
    expect(statSync(join(folder, 'a', 'sealed.json')).mode & 0o777).toBe(0o600);
    const before = kms.calls.decrypt;
    const again = openWrapped(config({ path: 'a' }), kms, inFolder());
    expect(await kids(again)).toEqual(first);
    for (let n = 0; n < 50; n++) expect(await again.keys(soon())).toHaveLength(1);
    expect(kms.calls).toMatchObject({ decrypt: before + 1, encrypt: 1, sign: 0, versions: 0 });
  });

  it('agrees on one set of keys when many start at once', async () => {
    const kms = memoryKms();
    const starts = Array.from({ length: 12 }, () => kids(openWrapped(config({ path: 'b' }), kms, inFolder())));
    expect(new Set((await Promise.all(starts)).map((some) => some.join()))).toHaveProperty('size', 1);
    expect(readdirSync(join(folder, 'b'))).toEqual(['sealed.json']);
  });

  it('makes an RSA key too where a store takes nothing else', async () => {
    const keys = await openWrapped(config({ path: 'c' }), memoryKms(), inFolder({ needs: ['RS256'] })).keys(soon());
    expect(keys.map(({ alg }) => alg)).toEqual(['ES256', 'RS256']);
  });

  it('makes that RSA key beside the one it has when such a store comes later', async () => {
    const kms = memoryKms();
    const before = await kids(openWrapped(config({ path: 'h' }), kms, inFolder()));
    const after = await openWrapped(config({ path: 'h' }), kms, inFolder({ needs: ['RS256'] })).keys(soon());
    expect(after.map(({ alg }) => alg)).toEqual(['ES256', 'RS256']);
    expect(after[0]?.kid).toBe(before[0]);
    expect(await kids(openWrapped(config({ path: 'h' }), kms, inFolder()))).toHaveLength(2);
  });

  it('derives from its keys as from local ones: their private part is at hand', async () => {
    const [key] = await openWrapped(config({ path: 'a' }), memoryKms(), inFolder())
      .keys(soon())
      .catch(() => []);
    expect(key).toBeUndefined();
    const kms = memoryKms();
    const [own] = await openWrapped(config({ path: 'd' }), kms, inFolder()).keys(soon());
    expect(own?.input).toHaveLength(32);
  });

  it('says that the KMS is why when it cannot be opened, and goes on with what was opened', async () => {
    const kms = memoryKms();
    const opened = openWrapped(config({ path: 'e' }), kms, inFolder());
    const before = await kids(opened);
    kms.fault = 'unreachable';
    expect(await kids(opened)).toEqual(before);
    await expect(openWrapped(config({ path: 'e' }), kms, inFolder()).keys(soon())).rejects.toMatchObject({
      code: 'ledger_unavailable',
      reason: 'kms_unreachable',
    });
  });

  it('puts the next key beside the old one, seen by whoever is running, and refuses a second one within an hour', async () => {
    const kms = memoryKms();
    let now = Date.now();
    const deps = inFolder({ now: () => now });
    const running = openWrapped(config({ path: 'f' }), kms, deps);
    const [old] = await running.keys(soon());
    const operator = openWrapped(config({ path: 'f' }), kms, deps);
    await operator.rotate?.(soon());
    expect(readdirSync(join(folder, 'f'))).toEqual(['sealed-2.json']);
    const [next, kept] = await running.keys(soon());
    expect(kept).toBe(old);
    expect(next?.kid).not.toBe(old?.kid);
    await expect(operator.rotate?.(soon())).rejects.toThrow('under way');
    now += settledMs;
    await operator.rotate?.(soon());
    expect((await running.keys(soon())).map(({ kid }) => kid).slice(1)).toEqual([next?.kid]);
  });

  it('reads what lies behind a REF, and only keys rotate writes there', async () => {
    const kms = memoryKms();
    const shelf: Record<string, string> = {};
    const ref = { store: 'vars', name: 'SEALED' };
    const reading = depsWith({}, { read: (...given) => depsWith(shelf).read(...given) });
    const write = async (_: unknown, value: Secret) => {
      shelf.SEALED = value.revealText();
    };
    const server = openWrapped(config(ref), kms, reading);
    await expect(server.keys(soon())).rejects.toMatchObject({ reason: 'absent' });
    const operator = openWrapped(config(ref), kms, { ...reading, write });
    await operator.rotate?.(soon());
    const [first, ...none] = await kids(server);
    expect(none).toEqual([]);
    await operator.rotate?.(soon());
    expect((await kids(server)).slice(1)).toEqual([first]);
    // A store that takes only RS256 came later: a start may not write, keys rotate makes it.
    const later = Date.now() + settledMs;
    await openWrapped(config(ref), kms, { ...reading, write, now: () => later, needs: ['RS256'] }).rotate?.(soon());
    expect((await server.keys(soon())).map(({ alg }) => alg)).toEqual(['ES256', 'ES256', 'RS256']);
  });

  it('drops no key that signs still: a long announcement makes the next rotation wait', async () => {
    const kms = memoryKms();
    let now = Date.now();
    const deps = inFolder({ now: () => now, announceMs: 12 * settledMs });
    const operator = openWrapped(config({ path: 'i' }), kms, deps);
    await operator.keys(soon());
    await operator.rotate?.(soon());
    now += 11 * settledMs;
    await expect(operator.rotate?.(soon())).rejects.toThrow('under way');
    now += 2 * settledMs;
    await operator.rotate?.(soon());
  });

  it('keeps its keys in the Durable Object when nothing else is said, and says so where there is none', async () => {
    const kms = memoryKms();
    const object = objectWith(ecPem());
    const first = await kids(openWrapped(config({}), kms, depsWith({}, { object })));
    expect(await kids(openWrapped(config({}), kms, depsWith({}, { object })))).toEqual(first);
    expect(object.sealed()).not.toContain('PRIVATE');
    expect(() => openWrapped(config({}), kms, depsWith())).toThrow('need path');
    expect(() => openWrapped(config({ path: 'x' }), kms, depsWith())).toThrow('no file system');
  });

  it('leaves a damaged file as it is', async () => {
    const kms = memoryKms();
    await kids(openWrapped(config({ path: 'g' }), kms, inFolder()));
    const file = join(folder, 'g', 'sealed.json');
    writeFileSync(file, '{');
    await expect(openWrapped(config({ path: 'g' }), kms, inFolder()).keys(soon())).rejects.toThrow('no sealed keys');
    expect(readFileSync(file, 'utf8')).toBe('{');
  });
});
