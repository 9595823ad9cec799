import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readTime, time } from '../../src/credentials/der.ts';
import type { SignedCredential } from '../../src/credentials/kind.ts';
import type { Authority } from '../../src/credentials/x509/authority.ts';
import { type Content, toBeSigned } from '../../src/credentials/x509/certificate.ts';
import { sha256, toHex } from '../../src/lib/bytes.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { readDer, valuesIn } from '../../src/lib/der.ts';
import { depsFor, openKind, requestFor } from '../contracts/kind.ts';
import { type KeyName, makeAuthority, makeRequest } from './authority.ts';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const folder = mkdtempSync(join(tmpdir(), 'hallpass-x509-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function openssl(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

const opensslConfig = `
[ca]
default_ca = ours
[ours]
database = index.txt
new_certs_dir = .
serial = serial
default_md = sha256
policy = any
x509_extensions = svid
string_mask = utf8only
unique_subject = no
[any]
commonName = optional
[svid]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth,serverAuth
subjectKeyIdentifier = SKID
authorityKeyIdentifier = keyid
subjectAltName = URI:spiffe://acme.example/ci/work,DNS:ci.svc.example
`;

async function issue(key: KeyName) {
  const authority = makeAuthority({ key });
  const entry = {
    kind: 'x509',
    certificate: authority.certificate,
    key: { store: 'vault', name: 'ca' },
    uri: 'spiffe://acme.example/{{ issuer }}/work',
    dns: ['{{ issuer }}.svc.example'],
    commonName: '{{ issuer }} ü',
    usages: ['client', 'server'],
  };
  const credential = (await openKind(entry, depsFor({ ca: authority.key }))) as SignedCredential;
  const { csr } = makeRequest('P-256');
  const { mint } = await credential.draft(requestFor({ csr }));
  const signed = (await credential.sign?.(mint, deadlineIn(10_000, Date.now))) as string;
  return { authority, csr, content: mint.certificate as Content, signed };
}

const bytesOf = (pem: string): Buffer =>
  Buffer.from(pem.slice(pem.indexOf('-----BEGIN')).replace(/-----.*-----|\s/g, ''), 'base64');
const tbsOf = (pem: string): string => toHex((valuesIn(readDer(bytesOf(pem)))[0] as { raw: Uint8Array }).raw);

describe.skipIf(!hasOpenssl)('an x509 beside OpenSSL (skipped where there is no openssl)', () => {
  it.each(['P-256', 'Ed25519'] as const)(
    'is byte for byte what a CA of OpenSSL with a key of %s signs',
    async (key) => {
      const { authority, csr, content, signed } = await issue(key);
      // How the identifier of the subject's key is made is a CA's own choice.
      const skid = /0603551d0e04160414([0-9a-f]{40})/.exec(tbsOf(signed))?.[1] as string;
      writeFileSync(join(folder, 'ca.pem'), authority.certificate);
      writeFileSync(join(folder, 'ca.key'), authority.key);
      writeFileSync(join(folder, 'csr.pem'), csr);
      writeFileSync(join(folder, 'index.txt'), '');
      writeFileSync(join(folder, 'serial'), `${content.serialNumber}\n`);
      writeFileSync(join(folder, 'ca.cnf'), opensslConfig.replace('SKID', skid));
      const at = (instant: string) => instant.replace(/[-T:]/g, '').slice(2);
      execFileSync(
        'openssl',
        [
          ...[
            'ca',
            '-batch',
            '-notext',
            '-config',
            'ca.cnf',
            '-cert',
            'ca.pem',
            '-keyfile',
            'ca.key',
            '-in',
            'csr.pem',
          ],
          ...['-utf8', '-subj', '/CN=ci ü', '-startdate', at(content.notBefore), '-enddate', at(content.notAfter)],
          ...['-md', key === 'Ed25519' ? 'null' : 'sha256', '-out', 'theirs.pem'],
        ],
        { cwd: folder, stdio: 'pipe' },
      );
      expect(tbsOf(signed)).toBe(tbsOf(readFileSync(join(folder, 'theirs.pem'), 'utf8')));
    },
  );

  it('passes the strict checks of openssl verify, for both purposes', async () => {
    const { authority, signed } = await issue('P-256');
    writeFileSync(join(folder, 'root.pem'), authority.certificate);
    writeFileSync(join(folder, 'leaf.pem'), signed);
    for (const purpose of ['sslclient', 'sslserver'])
      expect(openssl('verify', '-purpose', purpose, '-CAfile', 'root.pem', 'leaf.pem')).toContain('leaf.pem: OK');
  });

  it('has a serial as openssl prints it', async () => {
    const { content, signed } = await issue('P-256');
    writeFileSync(join(folder, 'leaf.pem'), signed);
    expect(openssl('x509', '-in', 'leaf.pem', '-noout', '-serial').trim()).toBe(`serial=${content.serialNumber}`);
  });
});

describe('what is signed of an x509', () => {
  const point = 'a60fec6f7b9d1e2f3b2c0f6ea7f2c1b7f5b3c4d5e6f708192a3b4c5d6e7f8091';
  const authority: Authority = {
    fingerprint: '',
    alg: 'EdDSA',
    name: Buffer.from('300d310b3009060355040a0c0241', 'hex'),
    spki: new Uint8Array(0),
    keyId: Buffer.from('00112233445566778899aabbccddeeff00112233', 'hex'),
    from: 0,
    until: 0,
  };
  const content: Content = {
    authority: '',
    serialNumber: '019AAA46A20052D8D73E1194E95B5F19',
    notBefore: '2049-12-31T23:59:00Z',
    notAfter: '2050-01-01T00:09:00Z',
    uri: 'spiffe://acme.example/ci/work',
    usages: ['client'],
    publicKey: Buffer.from(`302a300506032b6570032100${point}`, 'hex').toString('base64'),
  };

  it('stays the same bytes from release to release', () => {
    expect(toHex(sha256(toBeSigned(content, authority)))).toBe(
      '2e10d13edea68b37b716f603078958b320f2a2b3c8782d87fe45b5ccf42711a9',
    );
  });

  it('writes times through 2049 with two digits of the year, and later ones with four', () => {
    const hex = toHex(toBeSigned(content, authority));
    expect(hex).toContain(`170d${Buffer.from('491231235900Z').toString('hex')}`);
    expect(hex).toContain(`180f${Buffer.from('20500101000900Z').toString('hex')}`);
    for (const seconds of [0, 946_684_799, 2_524_607_999, 2_524_608_000, 4_102_444_800])
      expect(readTime(readDer(time(seconds)))).toBe(seconds);
  });
});
