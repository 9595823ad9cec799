import type { ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RealPostgres, startPostgres } from '../real-servers/postgres.ts';
import { freePort } from '../support/free-port.ts';
import { testIssuer } from '../support/issuer.ts';
import { type RunningServer, runCli, startServer, temporaryFolder, writeConfig } from '../support/server.ts';
import { startLambda } from './lambda-runner.ts';
import type { Send } from './scenario.ts';
import { startWorkerd } from './workerd-runner.ts';

// One ledger at a Node server; before it several Node processes, workerd and the Lambda bundle, all issuing.

const audience = 'https://pass.test';
const issuer = testIssuer('https://issuer.test', audience);
const { folder, remove } = temporaryFolder();
const as = (sub: string) => ({ authorization: `Bearer ${issuer.token({ sub })}` });

interface Edge {
  readonly name: string;
  readonly send: Send;
  /** What it is asked for in turn. */
  readonly credentials: readonly string[];
  end(): Promise<unknown>;
}

interface Issued {
  readonly edge: string;
  readonly sub: string;
  readonly begun: number;
  readonly status: number;
  readonly index?: number;
}

let postgres: RealPostgres;
let central: RunningServer;
let edges: Edge[];

const keyOf = () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = { ...publicKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' };
  return { signer: JSON.stringify(privateKey.export({ format: 'jwk' })), jwk };
};

const names = ['node-0', 'node-1', 'node-2', 'workerd', 'lambda'] as const;

beforeAll(async () => {
  postgres = await startPostgres();
  await postgres.sql('CREATE ROLE orders_rw NOLOGIN');
  await postgres.sql('CREATE DATABASE orders');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const keys = Object.fromEntries(names.map((name) => [name, keyOf()]));
  const ordersDb = {
    kind: 'postgres',
    host: postgres.host,
    port: postgres.port,
    database: 'orders',
    admin: { store: 'vars', name: 'ADMIN' },
    role: 'orders_rw',
  };
  const partner = { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m' };
  const ci = { issuer: issuer.url, jwks: issuer.jwks, audience };
  const urlOf = (name: string) => `https://${name}.edge.test`;
  const variables = {
    HALLPASS_SECRET_STRIPE: 'not-a-real-key',
    HALLPASS_SECRET_SHARED: Buffer.alloc(32, 7).toString('base64'),
    HALLPASS_SECRET_ADMIN: JSON.stringify(postgres.admin),
  };
  const stores = { vars: { kind: 'env' } };
  const limits = { ledger: '3s', request: '40s' };
  const operators = [{ name: 'ops', identity: { issuer: 'ci', subject: 'svc:ops' }, may: ['ops'] }];
  const configOfCentral = {
    broker: { url, signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'ledger.db' },
    limits,
    issuers: {
      ci,
      ...Object.fromEntries(
        names.map((name) => [name, { issuer: urlOf(name), audience: url, jwks: { keys: [keys[name]?.jwk] } }]),
      ),
    },
    stores,
    credentials: { partner, 'orders-db': ordersDb },
    roles: { writer: { ledger: 'append', mint: ['partner'] }, ops: { lockdown: 'write', audit: 'read' } },
    grants: [
      ...names.map((name) => ({ name, identity: { issuer: name, subject: 'broker' }, may: ['writer'] })),
      ...operators,
    ],
  };
  central = await startServer(writeConfig(folder, configOfCentral, 'central.json'), port, [], variables);
  const key = (await (await fetch(`${url}/v1/log/key`)).text()).trim();
  const configOf = (name: string, revocable: boolean) => ({
    broker: {
      url: urlOf(name),
      audience,
      signer: { kind: 'local', key: { store: 'vars', name: 'SIGNER' } },
      secret: { store: 'vars', name: 'SHARED' },
    },
    ledger: { kind: 'http', url, key },
    limits,
    issuers: { ci },
    stores,
    credentials: {
      partner,
      'stripe-key': { kind: 'secret', store: 'vars', name: 'STRIPE' },
      ...(revocable && { 'orders-db': ordersDb }),
    },
    roles: { all: ['partner', 'stripe-key', ...(revocable ? ['orders-db'] : [])] },
    grants: [{ name: 'all', identity: { issuer: 'ci', subject: 'svc:*' }, may: ['all'], ttl: '10m' }],
  });
  const envOf = (name: string) => ({ ...variables, HALLPASS_SECRET_SIGNER: keys[name]?.signer ?? '' });
  const nodes = names.slice(0, 3).map(async (name, at): Promise<Edge> => {
    const file = writeConfig(folder, configOf(name, at < 2), `${name}.json`);
    const server = await startServer(file, 0, [], envOf(name));
    const credentials = at < 2 ? ['orders-db', 'partner'] : ['partner', 'stripe-key'];
    return { name, credentials, send: (path, init) => fetch(`${server.url}${path}`, init), end: server.stop };
  });
  const light = ['partner', 'stripe-key'];
  const workerd = await startWorkerd({
    config: configOf('workerd', false),
    variables: envOf('workerd'),
    folder: `${folder}/workerd`,
  });
  const lambda = startLambda({ ...envOf('lambda'), HALLPASS_CONFIG: JSON.stringify(configOf('lambda', false)) });
  edges = [
    ...(await Promise.all(nodes)),
    { name: 'workerd', credentials: light, send: workerd.send, end: workerd.end },
    { name: 'lambda', credentials: light, send: lambda.send, end: lambda.end },
  ];
}, 60_000);

afterAll(async () => {
  await Promise.all((edges ?? []).map((edge) => edge.end()));
  await central?.stop();
  await postgres?.remove();
  remove();
});

/** Two workloads at every edge, each asking for one thing after the other. */
function underLoad() {
  const issued: Issued[] = [];
  let stopped = false;
  let answered = () => {};
  const worker = async ({ name: edge, send, credentials }: Edge, sub: string) => {
    for (let n = 0; !stopped; n++) {
      const begun = performance.now();
      const path = `/v1/credentials/${credentials[n % credentials.length]}`;
      const response = await send(path, { method: 'POST', headers: as(sub) });
      const { receipt } = (await response.json()) as { receipt?: { index: number } };
      issued.push({ edge, sub, begun, status: response.status, ...(receipt && { index: receipt.index }) });
      answered();
    }
  };
  const workers = Promise.all(edges.flatMap((edge) => ['svc:checkout', 'svc:other'].map((sub) => worker(edge, sub))));
  /** Resolves once every workload has had so many answers of what was begun since. */
  const until = async (many: number, since = 0) => {
    const enough = () =>
      edges.every(({ name }) =>
        ['svc:checkout', 'svc:other'].every(
          (sub) => issued.filter((one) => one.edge === name && one.sub === sub && one.begun >= since).length >= many,
        ),
      );
    const there = new Promise<void>((resolve) => {
      answered = () => enough() && resolve();
      answered();
    });
    // What a worker could not do ends the wait.
    await Promise.race([there, workers]);
  };
  const stop = async () => {
    stopped = true;
    await workers;
  };
  return { issued, until, stop };
}

const ask = async (method: string, path: string, body?: object) => {
  const headers = { ...as('svc:ops'), ...(body && { 'content-type': 'application/json' }) };
  const response = await fetch(`${central.url}${path}`, {
    method,
    headers,
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}\n${central.log().slice(-2000)}`);
  return JSON.parse(text);
};

interface Item {
  readonly index: number;
  readonly record: { readonly id: string; readonly type: string };
  readonly disclosed: { readonly subject: string };
}

async function recorded(type: string): Promise<Item[]> {
  const items: Item[] = [];
  let cursor = '';
  do {
    const page = await ask('GET', `/v1/issuances?type=${type}&limit=1000${cursor}`);
    items.push(...page.items);
    cursor = page.next === undefined ? '' : `&cursor=${page.next}`;
  } while (cursor !== '');
  return items;
}

const statusOf = async ({ send, credentials }: Edge, sub: string): Promise<number> =>
  (await send(`/v1/credentials/${credentials[0]}`, { method: 'POST', headers: as(sub) })).status;

/** `identity.name`, as the record of an issuance has it. */
async function nameOf(sub: string): Promise<string> {
  const { send } = edges[0] as Edge;
  const response = await send('/v1/credentials/partner', { method: 'POST', headers: as(sub) });
  const { receipt } = (await response.json()) as { receipt: { disclosure: string } };
  return JSON.parse(Buffer.from(receipt.disclosure, 'base64url').toString())[1].name;
}

const usersAtTheDatabase = async (): Promise<number> =>
  (await postgres.sql(`SELECT count(*)::int AS n FROM pg_roles WHERE rolname LIKE 'hp\\_%'`)).rows[0].n;

describe('a lockdown under load, at edges of every runtime', () => {
  it('holds from its own index on, everywhere, and stops nobody else; --revoke leaves nothing alive', async () => {
    const load = underLoad();
    await load.until(6);
    const identity = await nameOf('svc:checkout');
    const { lockdown, index } = await ask('POST', '/v1/lockdowns', { match: { identity }, reason: 'a drill' });
    const returned = performance.now();
    await load.until(3, returned);
    await load.stop();

    for (const { name: edge } of edges) {
      const at = (sub: string) => load.issued.filter((one) => one.edge === edge && one.sub === sub);
      const stopped = at('svc:checkout');
      expect(stopped.filter(({ status }) => status === 200).length, edge).toBeGreaterThan(0);
      expect(Math.max(...stopped.map((one) => one.index ?? -1)), edge).toBeLessThan(index);
      expect(new Set(stopped.filter(({ begun }) => begun > returned).map(({ status }) => status)), edge).toEqual(
        new Set([403]),
      );
      const others = at('svc:other');
      expect(
        others.filter(({ status }) => status === 403),
        edge,
      ).toEqual([]);
      expect(Math.max(...others.map((one) => one.index ?? -1)), edge).toBeGreaterThan(index);
    }
    const after = (await recorded('issuance')).filter((item) => item.index > index);
    expect(after.length).toBeGreaterThan(0);
    expect(after.filter(({ disclosed }) => disclosed.subject === 'svc:checkout')).toEqual([]);

    expect(await usersAtTheDatabase()).toBeGreaterThan(0);
    const everything = await ask('POST', '/v1/lockdowns', { everything: true, reason: 'a drill' });
    const token = issuer.token({ sub: 'svc:ops' });
    const env = { HALLPASS_URL: central.url, HALLPASS_TOKEN: token };
    const { code, stdout, stderr } = runCli(['lockdown', 'revoke', everything.lockdown.id, '--json'], env);
    expect(code, stderr).toBe(0);
    const { items } = JSON.parse(stdout) as { items: { credential: string; outcome: string }[] };
    expect(new Set(items.filter(({ credential }) => credential === 'orders-db').map(({ outcome }) => outcome))).toEqual(
      new Set(['done']),
    );
    expect(items.filter(({ outcome }) => outcome === 'lives_on').length).toBeGreaterThan(0);
    expect(await usersAtTheDatabase()).toBe(0);

    expect(new Set(await Promise.all(edges.map((edge) => statusOf(edge, 'svc:checkout'))))).toEqual(new Set([403]));
    for (const { id } of [lockdown, everything.lockdown])
      await ask('DELETE', `/v1/lockdowns/${id}`, { reason: 'over' });
    const heard = async (edge: Edge) => {
      while ((await statusOf(edge, 'svc:checkout')) !== 200) await heardAgain();
    };
    await Promise.all(edges.map(heard));
  }, 60_000);

  it('of an issuer whose tokens prove a broker cuts that broker off, and no other', async () => {
    const { lockdown } = await ask('POST', '/v1/lockdowns', { match: { issuer: 'node-0' }, reason: 'a drill' });
    const [cut, ...others] = edges as [Edge, ...Edge[]];
    expect(await statusOf(cut, 'svc:other')).toBe(503);
    expect(new Set(await Promise.all(others.map((edge) => statusOf(edge, 'svc:other'))))).toEqual(new Set([200]));
    await ask('DELETE', `/v1/lockdowns/${lockdown.id}`);
    expect(await statusOf(cut, 'svc:other')).toBe(200);
  });

  it('with the ledger unreachable, nothing at all is issued', async () => {
    freeze(central.child);
    const answers = await Promise.all(edges.map((edge) => statusOf(edge, 'svc:other')));
    central.child.kill('SIGCONT');
    expect(new Set(answers)).toEqual(new Set([503]));
  }, 30_000);
});

/** A broker asks once a second whether a lockdown was lifted. */
const heardAgain = () => new Promise((resolve) => setTimeout(resolve, 100));

const freeze = (child: ChildProcess): boolean => child.kill('SIGSTOP');
