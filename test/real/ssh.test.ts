import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SignedCredential } from '../../src/credentials/kind.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import type { JsonObject } from '../../src/lib/strict-json.ts';
import { depsFor, factsFor, hostileSubjects, identity, openKind, requestFor } from '../contracts/kind.ts';
import { makeSshAuthority } from '../credentials/ssh-keys.ts';
import { lacks, type RealServer, startReal } from '../real-servers/start.ts';

const lacking = lacks('sshd');
const user = userInfo().username;
const folder = mkdtempSync(join(tmpdir(), 'hallpass-real-ssh-'));
const ca = makeSshAuthority();
const ecCa = makeSshAuthority('P-256');
let sshd: RealServer;
let count = 0;

const write = (name: string, text: string): string => {
  const file = join(folder, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
};

interface Issuing {
  readonly more?: object;
  readonly claims?: JsonObject;
  readonly publicKey?: string;
  /** How long ago, seconds. */
  readonly ago?: number;
  readonly by?: typeof ca;
}

/** As the broker and the ledger's side go about it, one after the other. */
async function issue({ more = {}, claims = {}, publicKey, ago = 0, by = ca }: Issuing = {}) {
  const entry = {
    kind: 'ssh',
    publicKey: by.publicKey,
    key: { store: 'vault', name: 'ca' },
    principals: ['work-{{ issuer }}'],
    ...more,
  };
  const credential = (await openKind(entry, depsFor({ ca: by.key }))) as SignedCredential;
  const who = { ...identity, claims: { ...identity.claims, ...claims } };
  const now = Date.now() - ago * 1000;
  const expiresAt = (Math.floor(now / 1000) + 300) * 1000;
  const request = requestFor({
    identity: who,
    now,
    expiresAt,
    ttl: 300,
    ...(publicKey !== undefined && { publicKey }),
  });
  const draft = await credential.draft(request);
  credential.check(draft.mint, factsFor(request));
  const signed = (await credential.sign?.(draft.mint, deadlineIn(10_000, Date.now))) as string;
  return draft.finish(signed).data as Record<string, string>;
}

/** A login by what was handed over; which command ran, and what it said. */
function logIn(
  data: Record<string, string>,
  {
    key,
    known,
    server = sshd,
    command = 'echo in',
  }: { key?: string; known?: string; server?: RealServer; command?: string } = {},
) {
  const name = `login-${++count}`;
  const identityFile = key ?? write(name, data.privateKey as string);
  const certificate = write(`${name}-cert.pub`, `${data.certificate}\n`);
  const hosts =
    known ??
    write(
      `${name}-known`,
      `[127.0.0.1]:${new URL(server.url).port} ${readFileSync(join(server.folder, 'host_key.pub'), 'utf8')}`,
    );
  const options = [
    'BatchMode=yes',
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${hosts}`,
    'GlobalKnownHostsFile=none',
    'UpdateHostKeys=no',
    `CertificateFile=${certificate}`,
  ];
  const args = [
    '-F',
    'none',
    '-n',
    '-i',
    identityFile,
    '-p',
    new URL(server.url).port,
    ...options.flatMap((option) => ['-o', option]),
    `${user}@127.0.0.1`,
    command,
  ];
  const { status, stdout, stderr } = spawnSync('ssh', args, { encoding: 'utf8', timeout: 20_000 });
  return { in: status === 0, said: stdout.trim(), errors: stderr };
}

const logOf = (server: RealServer) => readFileSync(join(server.folder, 'sshd.log'), 'utf8');
const allow = (...principals: readonly string[]) =>
  writeFileSync(join(sshd.folder, 'principals', user), principals.map((principal) => `${principal}\n`).join(''));

beforeAll(async () => {
  if (lacking !== undefined) return;
  sshd = await startReal('sshd');
  writeFileSync(join(sshd.folder, 'trusted_cas'), `${ca.publicKey}\n${ecCa.publicKey}\n`);
});
afterAll(async () => {
  await sshd?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe.skipIf(lacking !== undefined)(`the real sshd${lacking === undefined ? '' : `: ${lacking}`}`, () => {
  it.each([
    ['Ed25519', ca],
    ['P-256', ecCa],
  ])('lets in who shows a certificate of a CA key of %s, and logs the issuance it was', async (_, by) => {
    allow('work-ci');
    const data = await issue({ by });
    expect(logIn(data)).toMatchObject({ in: true, said: 'in' });
    expect(logOf(sshd)).toContain(`ID ${data.keyId} (serial ${data.serialNumber}) CA `);
  });

  it.each(['ed25519', 'ecdsa -b 256', 'rsa -b 2048'])('lets in who brought a key of %s', async (type) => {
    allow('work-ci');
    const key = join(folder, `brought-${++count}`);
    spawnSync('ssh-keygen', ['-q', '-t', ...type.split(' '), '-N', '', '-f', key]);
    const data = await issue({ publicKey: readFileSync(`${key}.pub`, 'utf8') });
    expect(data).not.toHaveProperty('privateKey');
    expect(logIn(data, { key }).in).toBe(true);
  });

  it('keeps out whose lease has ended', async () => {
    allow('work-ci');
    expect(logIn(await issue({ ago: 301 })).in).toBe(false);
    expect(logOf(sshd)).toContain('Certificate invalid: expired');
    expect(logIn(await issue({ ago: 250 })).in).toBe(true);
  });

  it('keeps out who has another principal, another CA’s certificate, or a host’s', async () => {
    allow('work-other');
    expect(logIn(await issue()).in).toBe(false);
    allow('work-ci');
    expect(logIn(await issue({ by: makeSshAuthority() })).in).toBe(false);
    expect(logIn(await issue({ more: { type: 'host', principals: ['work-ci'] } })).in).toBe(false);
    expect(logIn(await issue()).in).toBe(true);
  });

  it('keeps out who has the certificate and another key', async () => {
    allow('work-ci');
    const [one, other] = [await issue(), await issue()];
    expect(logIn({ ...one, privateKey: other.privateKey as string }).in).toBe(false);
  });

  it('runs the forced command, and nothing from another address', async () => {
    allow('work-ci');
    const forced = await issue({ more: { options: { 'force-command': 'echo "forced, $SSH_ORIGINAL_COMMAND"' } } });
    expect(logIn(forced, { command: 'id' }).said).toBe('forced, id');
    expect(logIn(await issue({ more: { options: { 'source-address': '10.0.0.0/8,2001:db8::/32' } } })).in).toBe(false);
    expect(logIn(await issue({ more: { options: { 'source-address': '127.0.0.0/8' } } })).in).toBe(true);
  });

  it.each([
    ...hostileSubjects,
    'root,work-ci',
    `${user}`,
    'work-ci #',
    'a\nwork-ci',
    'a\0,work-ci',
    'ü\u202e',
    '$USER',
  ])('never takes %j beside text for another’s principal', async (x) => {
    allow('work-ci', user, 'root', '*', 'w-*');
    const issued = await issue({ more: { principals: ['w-{{ claims.x }}'] }, claims: { x } }).catch((error) => error);
    if (issued instanceof Error) return expect(issued.message).toBe('denied: template');
    expect(logIn(issued).in).toBe(false);
    allow(
      `w-${encodeURIComponent(x).replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`)}`,
    );
    expect(logIn(issued).in).toBe(true);
  });
});

describe.skipIf(lacking !== undefined)(`a real client of ssh${lacking === undefined ? '' : `: ${lacking}`}`, () => {
  const lines = (pattern: string) => write(`known-${++count}`, `@cert-authority ${pattern} ${ca.publicKey}\n`);
  let host: RealServer;
  let certified: (more: object, issuing?: Issuing) => Promise<string>;

  beforeAll(async () => {
    const key = join(folder, 'host');
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    const file = `${key}-cert.pub`;
    const publicKey = readFileSync(`${key}.pub`, 'utf8');
    certified = async (more, issuing) => {
      const { certificate } = await issue({ ...issuing, publicKey, more: { type: 'host', ...more } });
      await host?.stop();
      writeFileSync(file, `${certificate}\n`);
      host = await startReal('sshd', { flags: ['-h', key, '-c', file] });
      appendFileSync(join(host.folder, 'trusted_cas'), `${ca.publicKey}\n`);
      writeFileSync(join(host.folder, 'principals', user), 'work-ci\n');
      return new URL(host.url).port;
    };
  });
  afterAll(() => host?.stop());

  it('knows a host by its certificate, and by none for another host', async () => {
    const port = await certified({ principals: ['127.0.0.1'] });
    expect(logIn(await issue(), { server: host, known: lines(`[127.0.0.1]:${port}`) })).toMatchObject({ in: true });
    expect(logIn(await issue(), { server: host, known: lines('other.example') }).in).toBe(false);
    await certified({ principals: ['{{ issuer }}.example'] });
    const refused = logIn(await issue(), { server: host, known: lines('*') });
    expect(refused.in).toBe(false);
    expect(refused.errors).toContain('name is not a listed principal');
  });

  it('does not know a host whose certificate has ended', async () => {
    await certified({ principals: ['127.0.0.1'] }, { ago: 400 });
    const refused = logIn(await issue(), { server: host, known: lines('*') });
    expect(refused.in).toBe(false);
    expect(refused.errors).toMatch(/expired/);
  });
});
