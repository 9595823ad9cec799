import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  announce,
  devTokenLife,
  findRunning,
  openIssuer,
  publicJwk,
  readIssuer,
  signDevToken,
} from '../../src/cli/dev-folder.ts';
import { fakeTerminal } from './fake-terminal.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hallpass-dev-'));
});
afterAll(() => rm(folder, { recursive: true }));

const url = 'http://127.0.0.1:8787';

describe('the embedded issuer', () => {
  it('signs tokens that another library verifies with its public key', async () => {
    const issuer = await openIssuer(join(folder, 'a'), url);
    const token = signDevToken(issuer, { subject: 'ci', claims: { ref: 'main' } }, fakeTerminal());
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet({ keys: [publicJwk(issuer)] }), {
      issuer: `${url}/dev`,
      audience: url,
      algorithms: ['ES256'],
    });
    expect(payload).toMatchObject({ sub: 'ci', ref: 'main' });
    expect((payload.exp as number) - (payload.iat as number)).toBe(devTokenLife);
    expect(payload.jti).toHaveLength(22);
    expect(protectedHeader.kid).toBe(publicJwk(issuer).kid);
  });

  it('keeps its key over starts on other ports', async () => {
    const first = await openIssuer(join(folder, 'b'), url);
    const second = await openIssuer(join(folder, 'b'), 'http://127.0.0.1:9999');
    expect(publicJwk(second)).toEqual(publicJwk(first));
    expect((await readIssuer(join(folder, 'b'))).iss).toBe('http://127.0.0.1:9999/dev');
  });

  it('keeps its private key to its owner, and out of the public JWK', async () => {
    const issuer = await openIssuer(join(folder, 'c'), url);
    expect((await stat(join(folder, 'c', 'issuer.json'))).mode & 0o777).toBe(0o600);
    expect(await readFile(join(folder, 'c', 'issuer.json'), 'utf8')).toContain('"d"');
    expect(publicJwk(issuer)).not.toHaveProperty('d');
  });

  it('makes the folders above its own', async () => {
    await openIssuer(join(folder, 'd', 'e', 'f'), url);
    expect((await stat(join(folder, 'd', 'e', 'f'))).mode & 0o777).toBe(0o700);
  });

  it.runIf(process.platform === 'linux')('fails at once where no folder can be made', async () => {
    await expect(openIssuer('/proc/hallpass/dev', url)).rejects.toThrow(/ENOENT|EACCES/);
  });

  it('says what to do when there is none', async () => {
    await expect(readIssuer(join(folder, 'none'))).rejects.toMatchObject({
      code: 1,
      hint: expect.stringContaining('hallpass dev'),
    });
  });
});

describe('a running `hallpass dev`', () => {
  const healthy = async () => new Response('{}', { status: 200 });

  it('is found while it answers, and not after it withdrew', async () => {
    await openIssuer(join(folder, 'd'), url);
    const withdraw = await announce(join(folder, 'd'), url, process.pid);
    expect(await findRunning(join(folder, 'd'), healthy)).toBe(url);
    await withdraw();
    expect(await findRunning(join(folder, 'd'), healthy)).toBeUndefined();
  });

  it('is not believed to run when it left word and does not answer', async () => {
    await openIssuer(join(folder, 'e'), url);
    await announce(join(folder, 'e'), url, process.pid);
    expect(await findRunning(join(folder, 'e'), fakeTerminal().fetch)).toBeUndefined();
  });

  it('is never looked for anywhere but on loopback', async () => {
    await openIssuer(join(folder, 'f'), url);
    await announce(join(folder, 'f'), 'http://127.0.0.1.evil.example:80', process.pid);
    expect(await findRunning(join(folder, 'f'), healthy)).toBeUndefined();
  });
});
