import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, type RealServer, startReal } from '../real-servers/start.ts';
import { repository, temporaryFolder } from '../support/server.ts';

const lacking = lacks('mariadb') ?? lacks('redis');
const { folder, remove } = temporaryFolder();
const password = 'not-a-real-password';
const servers: RealServer[] = [];

/** What runs beside the test, as Node reads which certificates it trusts when it starts. */
const program = (kind: string) => `
  import { ${kind} } from '${join(repository, `src/credentials/${kind}.ts`)}';
  const { config, admin, id } = JSON.parse(process.argv[2]);
  const at = Date.now() + 5000;
  const deadline = { at, left: () => Math.max(0, at - Date.now()) };
  const read = async () => ({ value: { reveal: () => new TextEncoder().encode(JSON.stringify(admin)) } });
  const random = (bytes) => crypto.getRandomValues(new Uint8Array(bytes));
  const { open } = await ${kind}.load();
  const credential = open(config, { read, random, name: 'it' });
  const outcome = await credential.make({ id, deadline }).then(({ data }) => data.url, ({ reason }) => reason);
  await credential.undo({ issuance: id }, deadline).catch(() => {});
  console.log(outcome);`;

const bundleOf = (kind: string) => join(folder, `${kind}.mjs`);

/** Makes and ends an account. @returns the URL handed over, or why there was none */
async function tryOut(kind: string, config: object, trusted?: string): Promise<string> {
  const id = '01jd9m00000000000000000000';
  const input = JSON.stringify({
    config: { kind, admin: { store: 'here', name: 'admin' }, ...config },
    admin: { username: 'admin', password },
    id,
  });
  const env = { ...process.env, ...(trusted !== undefined && { NODE_EXTRA_CA_CERTS: trusted }) };
  const { stdout } = await promisify(execFile)(process.execPath, [bundleOf(kind), input], { env });
  return stdout.trim();
}

function certificate(name: string, subjects: string) {
  const [certificate, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=test'];
  const files = ['-addext', `subjectAltName=${subjects}`, '-keyout', key, '-out', certificate];
  execFileSync('openssl', ['req', '-x509', ...kind, ...files], { stdio: 'ignore' });
  return { certificate, env: { TLS_CERTIFICATE: certificate, TLS_KEY: key } };
}

beforeAll(async () => {
  if (lacking !== undefined) return;
  const banner = { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" };
  for (const kind of ['mysql', 'redis'])
    await build({
      stdin: { contents: program(kind), resolveDir: repository, loader: 'ts' },
      ...{ bundle: true, platform: 'node', format: 'esm', banner, outfile: bundleOf(kind), logLevel: 'error' },
    });
});
afterAll(async () => {
  for (const server of servers) await server.stop();
  remove();
});

describe.skipIf(lacking !== undefined).each(['mysql', 'redis'] as const)('%s over TLS', (kind) => {
  async function start(name: string, subjects: string) {
    const { certificate: trusted, env } = certificate(`${kind}-${name}`, subjects);
    const server = await startReal(kind === 'mysql' ? 'mariadb' : 'redis', { env });
    servers.push(server);
    const port = Number(new URL(server.url).port);
    if (kind === 'redis') return { trusted, config: { port: port + 1, tls: 'verify', rules: ['~a', '+get'] } };
    const root = await mysql.createConnection({ host: '127.0.0.1', port, user: 'admin', password, disableEval: true });
    await root.query('CREATE ROLE orders_rw');
    await root.query("ALTER USER admin@'127.0.0.1' REQUIRE SSL");
    await root.end();
    return { trusted, config: { port, tls: 'verify', database: 'orders', role: 'orders_rw', from: '%' } };
  }

  it('speaks to a server whose certificate is trusted and has its name, and to no other', async () => {
    const ours = await start('ours', 'DNS:localhost,IP:127.0.0.1');
    const others = await start('others', 'DNS:db.example.com');
    const local = { host: 'localhost' };
    const scheme = kind === 'redis' ? 'rediss' : 'mysql';
    expect(await tryOut(kind, { ...ours.config, ...local }, ours.trusted)).toMatch(`${scheme}://hp_`);
    expect(await tryOut(kind, { ...ours.config, ...local })).toBe('unreachable');
    expect(await tryOut(kind, { ...others.config, ...local }, others.trusted)).toBe('unreachable');
    expect(await tryOut(kind, { ...ours.config, ...local }, others.trusted)).toBe('unreachable');
    // Of the two only redis takes an address.
    if (kind === 'redis') {
      expect(await tryOut(kind, { ...ours.config, host: '127.0.0.1' }, ours.trusted)).toMatch('rediss://hp_');
      expect(await tryOut(kind, { ...others.config, host: '127.0.0.1' }, others.trusted)).toBe('unreachable');
    }
  });
});
