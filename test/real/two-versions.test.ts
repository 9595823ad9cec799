import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { testIssuer } from '../support/issuer.ts';
import { repository, startServer, temporaryFolder, writeConfig } from '../support/server.ts';

// A fleet is never of one version while it is being brought up to date.

/** The version beside this one: the commit before, unless another revision is named. */
const revision = process.env.HALLPASS_PREVIOUS ?? 'HEAD~1';
const seconds = Number(process.env.HALLPASS_SECONDS ?? 5);
const callers = 8;

const known = (() => {
  try {
    const options = { cwd: repository, stdio: 'pipe', encoding: 'utf8' } as const;
    return execFileSync('git', ['rev-parse', '--verify', `${revision}^{commit}`], options).trim();
  } catch {
    return undefined;
  }
})();
// Unlike a server, history cannot be installed: a clone without it says so.
if (known === undefined) console.warn(`skipped: this clone has no ${revision} to run beside this version`);

const { folder, remove } = temporaryFolder();
const ends: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const end of ends) await end();
  remove();
});

const cliOf = { this: join(repository, 'dist/hallpass.mjs'), previous: join(folder, 'previous/dist/hallpass.mjs') };
type Version = keyof typeof cliOf;

beforeAll(() => {
  if (known === undefined) return;
  const sources = join(folder, 'previous');
  execFileSync('sh', ['-c', `mkdir "$1" && git archive ${known} | tar -x -C "$1"`, 'sh', sources], { cwd: repository });
  symlinkSync(join(repository, 'node_modules'), join(sources, 'node_modules'));
  execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: sources, stdio: 'ignore' });
}, 180_000);

const run = (version: Version, ...args: string[]) =>
  execFileSync(process.execPath, [cliOf[version], ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

async function start(version: Version, file: string, port: number, env: Record<string, string> = {}) {
  const server = await startServer(file, port, [], env, cliOf[version]);
  ends.push(() => server.kill());
  return server;
}

/** A ledger of one version and a broker of the other, on loopback. */
async function house(name: string, ledgerVersion: Version, brokerVersion: Version) {
  const [ledgerPort, brokerPort] = [await freePort(), await freePort()];
  const [ledgerUrl, edgeUrl] = [`http://127.0.0.1:${ledgerPort}`, `http://127.0.0.1:${brokerPort}`];
  const at = (part: string) => join(folder, name, part);
  const cluster = testIssuer('https://cluster.test', ledgerUrl);
  const ci = testIssuer('https://ci.test', edgeUrl);
  const partner = { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m' };
  const central = {
    broker: { url: ledgerUrl, signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'ledger.db' },
    issuers: { cluster: { issuer: cluster.url, jwks: cluster.jwks } },
    credentials: { partner },
    roles: { writer: { ledger: 'append', mint: ['partner'], writer: edgeUrl } },
    grants: [{ name: 'edge', identity: { issuer: 'cluster', subject: 'system:edge' }, may: ['writer'] }],
  };
  const ledgerFile = writeConfig(at('ledger'), central);
  const ledger = await start(ledgerVersion, ledgerFile, ledgerPort);
  const key = run(ledgerVersion, 'ledger', 'key', '--config', ledgerFile).trim();
  const tokenFile = at('token');
  writeFileSync(tokenFile, cluster.token({ sub: 'system:edge' }));
  const edge = {
    broker: { url: edgeUrl, secret: { store: 'vars', name: 'SHARED' } },
    ledger: { kind: 'http', url: ledgerUrl, key, identity: { kind: 'file', tokenFile } },
    issuers: { ci: { issuer: ci.url, jwks: ci.jwks } },
    stores: { vars: { kind: 'env', prefix: 'EDGE_' } },
    credentials: { partner, stripe: { kind: 'secret', store: 'vars', name: 'STRIPE' } },
    roles: { all: ['partner', 'stripe'] },
    grants: [{ name: 'all', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['all'], ttl: '5m' }],
  };
  const env = { EDGE_SHARED: randomBytes(32).toString('base64'), EDGE_STRIPE: 'not-a-real-key' };
  const broker = await start(brokerVersion, writeConfig(at('edge'), edge), brokerPort, env);
  return { ledger, ledgerFile, ledgerPort, broker, ask: asking(edgeUrl, () => ci.token()) };
}

const asking = (url: string, token: () => string) => async (name: string) => {
  const headers = { authorization: `Bearer ${token()}` };
  const answer = await fetch(`${url}/v1/credentials/${name}`, { method: 'POST', headers });
  await answer.arrayBuffer();
  return answer.status;
};

/** How often each status was answered while callers asked without a pause; `during` runs beside. */
async function load(ask: (name: string) => Promise<number>, during?: () => Promise<unknown>) {
  const statuses: Record<number, number> = {};
  const until = Date.now() + seconds * 1_000;
  const caller = async (n: number) => {
    for (let asked = n; Date.now() < until; asked++) {
      const status = await ask(asked % 2 === 0 ? 'partner' : 'stripe');
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
  };
  await Promise.all([...Array.from({ length: callers }, (_, n) => caller(n)), during?.()]);
  return statuses;
}

const only200 = (statuses: Record<number, number>) => {
  expect(Object.keys(statuses)).toEqual(['200']);
  expect(statuses[200]).toBeGreaterThan(callers * seconds);
};

describe.skipIf(known === undefined)(`this version beside ${revision}`, () => {
  it('issues without a failure with a ledger of the version before, which this one then takes over', async () => {
    const { ledger, ledgerFile, ledgerPort, ask } = await house('older-ledger', 'previous', 'this');
    only200(await load(ask));
    run('previous', 'ledger', 'verify', '--config', ledgerFile);
    expect(await ledger.stop()).toBe(0);
    await start('this', ledgerFile, ledgerPort);
    only200(await load(ask));
    run('this', 'ledger', 'verify', '--config', ledgerFile);
  }, 120_000);

  it('issues without a failure with a broker of the version before', async () => {
    const { ledgerFile, ask } = await house('older-broker', 'this', 'previous');
    only200(await load(ask));
    run('this', 'ledger', 'verify', '--config', ledgerFile);
  }, 120_000);
});
