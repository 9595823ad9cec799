import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { SignedCredential } from '../../src/credentials/kind.ts';
import { type Content, toBeSigned } from '../../src/credentials/ssh/certificate.ts';
import { type PublicKey, parsePublicLine } from '../../src/credentials/ssh/public-key.ts';
import { sha256, toHex } from '../../src/lib/bytes.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { depsFor, openKind, requestFor } from '../contracts/kind.ts';
import { readCertificate } from './ssh-keys.ts';

const hasKeygen = spawnSync('ssh-keygen', ['-?']).error === undefined;
const folder = mkdtempSync(join(tmpdir(), 'hallpass-ssh-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;

function keygen(...args: readonly string[]): string {
  const options = { cwd: folder, encoding: 'utf8', env: { ...process.env, TZ: 'UTC' }, input: '' } as const;
  const { status, stdout, stderr } = spawnSync('ssh-keygen', args, options);
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/** A fresh key as ssh-keygen makes it: its private text, its public line, and the name of its file. */
function makeKey(...type: readonly string[]) {
  const file = join(folder, `key-${++count}`);
  keygen('-q', '-t', ...type, '-N', '', '-C', 'someone', '-f', file);
  return { file, key: readFileSync(file, 'utf8'), publicKey: readFileSync(`${file}.pub`, 'utf8') };
}

const soon = () => deadlineIn(10_000, Date.now);
const ref = { store: 'vault', name: 'ca' };

async function issue(ca: { key: string; publicKey: string }, more: object, publicKey?: string) {
  const entry = { kind: 'ssh', publicKey: ca.publicKey, key: ref, principals: ['deploy', 'w-{{ issuer }}'], ...more };
  const credential = (await openKind(entry, depsFor({ ca: ca.key }))) as SignedCredential;
  const { mint, finish } = await credential.draft(requestFor({ ...(publicKey !== undefined && { publicKey }) }));
  const line = (await credential.sign?.(mint, soon())) as string;
  return { line, content: mint.certificate as Content, data: finish(line).data as Record<string, string> };
}

const cas = [['ed25519'], ['ecdsa', '-b', '256']];
const keys = [['ed25519'], ['ecdsa', '-b', '256'], ['rsa', '-b', '2048']];

describe.skipIf(!hasKeygen)('an ssh beside ssh-keygen (skipped where there is none)', () => {
  it.each(cas.flatMap((ca) => keys.map((key) => [ca.join(' '), key.join(' ')])))(
    'is byte for byte what a CA key of %s signs of a key of %s',
    async (caType, keyType) => {
      const ca = makeKey(...caType.split(' '));
      const { file, publicKey } = makeKey(...keyType.split(' '));
      const at = (instant: string) => instant.replace(/[-T:Z]/g, '');
      for (const type of ['user', 'host']) {
        const more =
          type === 'host'
            ? { type, principals: ['a.example', 'b.example'] }
            : {
                options: { 'source-address': '10.0.0.0/8', 'force-command': 'echo "a, b"' },
                extensions: ['permit-user-rc', 'permit-X11-forwarding', 'permit-pty'],
              };
        const { line, content } = await issue(ca, more, publicKey);
        const options = [
          ...Object.entries(content.criticalOptions).map(([name, value]) => `${name}=${value}`),
          ...content.extensions,
        ];
        keygen(
          ...['-q', '-s', ca.file, '-I', content.keyId, '-z', content.serialNumber, '-n', content.principals.join(',')],
          ...['-V', `${at(content.validAfter)}:${at(content.validBefore)}`, ...(type === 'host' ? ['-h'] : [])],
          ...['clear', ...options].flatMap((option) => (type === 'host' ? [] : ['-O', option])),
          `${file}.pub`,
        );
        const theirs = readCertificate(readFileSync(`${file}-cert.pub`, 'utf8'));
        const ours = toBeSigned(
          { ...content, nonce: theirs.nonce.toString('base64url') },
          parsePublicLine(ca.publicKey) as PublicKey,
        );
        expect(toHex(ours)).toBe(theirs.tbs.toString('hex'));
        expect(line.split(' ')[0]).toBe(theirs.kind);
      }
    },
  );

  it('is read by it, with the signature of its CA', async () => {
    const ca = makeKey('ecdsa', '-b', '256');
    const { data, content } = await issue(ca, {});
    writeFileSync(join(folder, 'cert.pub'), `${data.certificate}\n`);
    const said = keygen('-L', '-f', 'cert.pub');
    expect(said).toContain('Type: ssh-ed25519-cert-v01@openssh.com user certificate');
    expect(said).toContain(`Signing CA: ECDSA ${content.authority} (using ecdsa-sha2-nistp256)`);
    expect(said).toContain(`Key ID: "${data.keyId}"`);
    expect(said).toContain(`Serial: ${data.serialNumber}`);
    expect(said).toMatch(/Principals: \n\s+deploy\n\s+w-ci\n/);
    expect(said).toMatch(/Extensions: \n\s+permit-pty\n/);
  });

  it('comes with a private key that it reads, if the caller brought none', async () => {
    for (let round = 0; round < 5; round++) {
      const { data, content } = await issue(makeKey('ed25519'), {});
      const file = join(folder, `made-${++count}`);
      writeFileSync(file, data.privateKey as string, { mode: 0o600 });
      expect(keygen('-y', '-P', '', '-f', file).trim()).toBe(content.publicKey);
    }
  });

  it('is signed by a key of PKCS#8 as well, and by none with a passphrase', async () => {
    const ca = makeKey('ecdsa', '-b', '256', '-m', 'PKCS8');
    expect(ca.key).toMatch(/^-----BEGIN PRIVATE KEY-----/);
    await expect(issue(ca, {})).resolves.toBeDefined();
    const locked = makeKey('ed25519');
    keygen('-q', '-p', '-P', '', '-N', 'a passphrase', '-f', locked.file);
    const work = issue({ ...locked, key: readFileSync(locked.file, 'utf8') }, {});
    await expect(work).rejects.toThrow('authority_key');
  });
});

describe('what is signed of an ssh', () => {
  it('stays the same bytes from release to release', () => {
    const key = (byte: number) =>
      `ssh-ed25519 ${Buffer.concat([Buffer.from('0000000b7373682d6564323535313900000020', 'hex'), Buffer.alloc(32, byte)]).toString('base64')}`;
    const content: Content = {
      authority: '',
      type: 'user',
      keyId: 'hp_01kan4d8g0abcdefghjkmnpqrs',
      serialNumber: '18446744073709551615',
      principals: ['deploy', 'w-ci'],
      validAfter: '2026-11-22T12:00:00Z',
      validBefore: '2026-11-22T12:10:00Z',
      criticalOptions: { 'source-address': '10.0.0.0/8', 'force-command': 'uptime' },
      extensions: ['permit-pty'],
      nonce: 'A'.repeat(43),
      publicKey: key(1),
    };
    expect(toHex(sha256(toBeSigned(content, parsePublicLine(key(2)) as PublicKey)))).toBe(
      '8f41630d539bcba3724907b0240b51d227be9f74035a3b4f785abf1c17711798',
    );
  });
});
