import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDynamoDb } from '../fakes/dynamodb.ts';
import { type RealPostgres, startPostgres } from '../real-servers/postgres.ts';
import { startWorkerd } from '../runtimes/workerd-runner.ts';
import { freePort } from '../support/free-port.ts';
import { testIssuer } from '../support/issuer.ts';
import { cli, startServer, temporaryFolder, writeConfig } from '../support/server.ts';

/** Tokens, each used `uses` times at once, over `processes`. */
const tokens = Number(process.env.HALLPASS_REPLAYS ?? 10);
const uses = 100;
const processes = 4;

const { folder, remove } = temporaryFolder();
const ends: (() => Promise<unknown>)[] = [];
const audience = 'https://pass.test';
const issuer = testIssuer('https://ci.test', audience);
let postgres: RealPostgres;

beforeAll(async () => {
  postgres = await startPostgres({ fsync: 'on', log_statement: 'none' });
}, 60_000);
afterAll(async () => {
  for (const end of ends.reverse()) await end();
  await postgres?.remove();
  remove();
});

const run = (args: readonly string[], env: Record<string, string> = {}) =>
  execFileSync(process.execPath, [cli, ...args], { encoding: 'utf8', env: { ...process.env, ...env }, stdio: 'pipe' });

async function start(file: string, env: Record<string, string>, port = 0): Promise<string> {
  const server = await startServer(file, port, [], env);
  ends.push(() => server.kill());
  return server.url;
}

/** What every broker is configured with: a token buys one answer. */
const policy = {
  issuers: { ci: { issuer: issuer.url, audience, jwks: issuer.jwks } },
  stores: { vars: { kind: 'env', prefix: 'TEST_SECRET_' } },
  credentials: {
    partner: { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m' },
    stripe: { kind: 'secret', store: 'vars', name: 'STRIPE' },
  },
  roles: { all: ['partner', 'stripe'] },
  grants: [{ name: 'all', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['all'], ttl: '5m', once: true }],
};

async function overHttp(): Promise<string[]> {
  const at = (part: string) => join(folder, 'http', part);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const cluster = testIssuer('https://cluster.test', url);
  const edge = 'https://edge.test';
  const central = writeConfig(at('ledger'), {
    broker: { url, signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'ledger.db' },
    issuers: { cluster: { issuer: cluster.url, jwks: cluster.jwks } },
    credentials: { partner: policy.credentials.partner },
    roles: { writer: { ledger: 'append', mint: ['partner'], writer: edge } },
    grants: [{ name: 'edge', identity: { issuer: 'cluster', subject: 'edge' }, may: ['writer'] }],
  });
  await start(central, {}, port);
  const key = run(['ledger', 'key', '--config', central]).trim();
  writeFileSync(at('token'), cluster.token({ sub: 'edge' }));
  const broker = { url: edge, audience, secret: { store: 'vars', name: 'SHARED' } };
  const ledger = { kind: 'http', url, key, identity: { kind: 'file', tokenFile: at('token') } };
  return fleet(writeConfig(at('edge'), { ...policy, broker, ledger }));
}

async function onPostgres(name: string, shards: number): Promise<string[]> {
  const at = join(folder, name);
  const { username, password } = postgres.admin;
  await postgres.sql(`CREATE DATABASE ${name}`);
  const url = `postgres://${username}:${password}@127.0.0.1:${postgres.port}/${name}`;
  const broker = { url: audience, signer: { kind: 'local', path: join(at, 'keys') } };
  const ledger = { kind: 'postgres', url: { store: 'vars', name: 'LEDGER' }, ...(shards > 1 && { shards }) };
  const file = writeConfig(at, { ...policy, broker, ledger });
  run(['ledger', 'init', '--config', file], { TEST_SECRET_LEDGER: url });
  return fleet(file, { TEST_SECRET_LEDGER: url });
}

/** The fake answers in this process, so nothing here may wait for the CLI without letting it. */
async function onDynamoDb(): Promise<string[]> {
  const at = join(folder, 'dynamodb');
  const dynamo = await startDynamoDb();
  ends.push(() => dynamo.close());
  const env = {
    AWS_ACCESS_KEY_ID: 'ASIAOFTHEPLATFORM00',
    AWS_SECRET_ACCESS_KEY: 'not-a-secret',
    AWS_SESSION_TOKEN: 'not-a-token',
  };
  const broker = { url: audience, signer: { kind: 'local', path: join(at, 'keys') } };
  const ledger = { kind: 'dynamodb', table: 'replays', region: 'eu-west-1', endpoint: dynamo.url };
  const file = writeConfig(at, { ...policy, broker, ledger });
  await promisify(execFile)(process.execPath, [cli, 'ledger', 'init', '--config', file], {
    env: { ...process.env, ...env },
  });
  return fleet(file, env);
}

function fleet(file: string, more: Record<string, string> = {}): Promise<string[]> {
  const env = { TEST_SECRET_STRIPE: 'not-a-real-key', TEST_SECRET_SHARED: randomBytes(32).toString('base64'), ...more };
  return Promise.all(Array.from({ length: processes }, () => start(file, env)));
}

async function onWorkerd(): Promise<string[]> {
  const port = await freePort();
  const config = {
    ...policy,
    broker: { url: audience, signer: { kind: 'local' } },
    ledger: { kind: 'durable-object', binding: 'LEDGER' },
  };
  const variables = { TEST_SECRET_STRIPE: 'not-a-real-key' };
  const workerd = await startWorkerd({ config, variables, folder: join(folder, 'object'), port });
  ends.push(() => workerd.end());
  return [`http://127.0.0.1:${port}`];
}

/** The other signature of the same token that ECDSA lets anybody make: s becomes n - s. */
function malleated(token: string): string {
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const [header, payload, signature] = token.split('.') as [string, string, string];
  const bytes = Buffer.from(signature, 'base64url');
  const s = n - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const other = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
  return `${header}.${payload}.${other.toString('base64url')}`;
}

async function ask(url: string, token: string, body?: object): Promise<number> {
  const headers = { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) };
  const path = body === undefined ? '/v1/credentials/partner' : '/v1/credentials';
  const answer = await fetch(`${url}${path}`, { method: 'POST', headers, ...(body && { body: JSON.stringify(body) }) });
  await answer.arrayBuffer();
  return answer.status;
}

/** Writers of one table lose its head to each other: what has not got in by its deadline is refused, not let through. */
const lateToo = [503];

describe.each<[string, () => Promise<string[]>, (readonly number[])?]>([
  ['four brokers of one ledger over HTTP', overHttp],
  ['four brokers that write one PostgreSQL', () => onPostgres('one', 1)],
  ['four brokers that write three shards in PostgreSQL', () => onPostgres('three', 3)],
  ['four brokers that write one table of DynamoDB', onDynamoDb, lateToo],
  ['a Worker and its Durable Object', onWorkerd],
])('%s', (_, open, others = []) => {
  let urls: string[];
  beforeAll(async () => {
    urls = await open();
    // A crowd is no first request: else it is the start that is tried, and what comes late is refused with 503.
    for (let at = 0; at < 10 * urls.length; at++) await ask(broker(at), issuer.token());
  }, 60_000);
  const broker = (at: number) => urls[at % urls.length] as string;

  it(
    `takes each of ${tokens} tokens once of ${uses} uses at the same time, malleated copies included`,
    async () => {
      for (let many = 0; many < tokens; many++) {
        const token = issuer.token();
        const copies = [token, malleated(token)];
        const statuses = await Promise.all(
          Array.from({ length: uses }, (_, at) => ask(broker(at), copies[Math.floor(at / urls.length) % 2] as string)),
        );
        expect(statuses.filter((status) => status === 200)).toHaveLength(1);
        const refused = statuses.filter((status) => status !== 200 && !others.includes(status));
        expect(new Set(refused)).toEqual(new Set([409]));
      }
    },
    30_000 + tokens * 3_000,
  );

  it('spends a token once for all that one request asks for, and for nothing after it', async () => {
    const token = issuer.token();
    const names = ['partner', 'stripe'];
    const together = await Promise.all(Array.from({ length: 8 }, (_, at) => ask(broker(at), token, { names })));
    expect(together.filter((status) => status === 200)).toHaveLength(1);
    expect(together.filter((status) => status === 409)).toHaveLength(7);
    expect(await ask(broker(1), malleated(token))).toBe(409);
  });
});
