import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../../src/cli/program.ts';
import { fakeTerminal } from '../cli/fake-terminal.ts';
import { Refused } from '../fakes/aws-secrets.ts';
import { cancelled, type FakeDynamoDb, operationOf, refuse, startDynamoDb } from '../fakes/dynamodb.ts';
import type { FakeAnswer, FakeFault } from '../fakes/server.ts';
import { configOf, newTable } from '../ledger/drivers/dynamodb-fixture.ts';
import { adminOf, newSchema, startServer as startDatabase, urlOf } from '../ledger/drivers/postgres-fixture.ts';
import { startTcpProxy, type TcpProxy } from '../real/tcp-proxy.ts';
import type { RealPostgres } from '../real-servers/postgres.ts';
import { openBroker } from '../support/broker.ts';
import { embeddedConfig, prepareEmbedded, secretValue } from '../support/config.ts';
import { type TestIssuer, testIssuer } from '../support/issuer.ts';
import { type RunningServer, runCli, startServer, temporaryFolder, writeConfig } from '../support/server.ts';
import { type Change, type FaultProxy, faultProxy, type ProxyFault } from './fault-proxy.ts';
import { faultyCommits } from './faulty-commits.ts';
import { openFaultyObject } from './faulty-object.ts';

/** One broker that can be put under one fault. */
interface Subject {
  readonly ask: (path: string, token: string) => Promise<Response>;
  readonly issuer: TestIssuer;
  fault(name: string | undefined): Promise<void> | void;
  close(): Promise<void>;
}

const table: string[] = [];
/** Of each kind, under each fault. */
const trials = Number(process.env.HALLPASS_TRIALS ?? 1);
const atOnce = 50;
let tried = 0;
/** A fork outgrows what was seen of the ledger it is a fork of when it is asked often. */
const onlyOnce: ReadonlySet<string> = new Set(['smaller tree than seen']);
const { folder: root, remove } = temporaryFolder();
const answerWithin = 3_000;
const recoverWithin = 2_500;

afterAll(() => {
  console.log(
    [
      '',
      'ledger          fault                         answers        slowest   secrets out   recovered after',
      ...table,
      `${tried} trials`,
    ].join('\n'),
  );
  remove();
});

function subfolder(name: string): string {
  const folder = join(root, name.replace(/[^a-z0-9]/gi, '-'));
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Well; then the fault: 503 in time and nothing out; then well again without a restart. Adds a row to the table. */
async function failsClosed(ledger: string, fault: string, subject: Subject): Promise<void> {
  const { ask, issuer } = subject;
  const issues = () => [
    ask('/v1/credentials/stripe-key', issuer.token()),
    ask('/v1/credentials/partner', issuer.token()),
  ];
  const stranger = () => ask('/v1/credentials/stripe-key', issuer.token({ sub: `svc:stranger-${fault}` }));
  const before = [...issues(), ...issues(), ...issues(), ...issues()];
  for (const response of await Promise.all(before)) expect(response.status).toBe(200);

  await subject.fault(fault);
  let slowest = 0;
  const timed = async (asked: Promise<Response>) => {
    const started = performance.now();
    const response = await asked;
    const text = await response.text();
    slowest = Math.max(slowest, performance.now() - started);
    return { status: response.status, text };
  };
  const answers: { status: number; text: string }[] = [];
  const many = onlyOnce.has(fault) ? 1 : trials;
  for (let done = 0; done < many; done += atOnce) {
    const asks = Array.from({ length: Math.min(atOnce, many - done) }, issues).flat();
    answers.push(...(await Promise.all([...asks, ...(done === 0 ? [stranger()] : [])].map(timed))));
  }
  tried += answers.length;
  const out = answers.filter(({ text }) => text.includes(secretValue) || /eyJ[\w-]+\.eyJ/.test(text)).length;
  await subject.fault(undefined);

  const back = performance.now();
  let recovered = Number.NaN;
  for (let attempt = 0; attempt < 100 && Number.isNaN(recovered) && performance.now() - back < 6_000; attempt++) {
    const response = await ask('/v1/credentials/stripe-key', issuer.token());
    if (response.status === 200) recovered = performance.now() - back;
    else await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const statuses = [...new Set(answers.map(({ status }) => status))].map(
    (status) => `${answers.filter((answer) => answer.status === status).length} x ${status}`,
  );
  table.push(
    `${ledger.padEnd(16)}${fault.padEnd(30)}${statuses.join().padEnd(15)}${`${Math.round(slowest)} ms`.padEnd(10)}${String(out).padEnd(14)}${Math.round(recovered)} ms`,
  );
  expect(statuses).toEqual([`${answers.length} x 503`]);
  expect(out).toBe(0);
  expect(slowest).toBeLessThan(answerWithin);
  expect(recovered).toBeLessThan(recoverWithin);
}

describe('sqlite', () => {
  for (const fault of ['disk full', 'read-only', 'fsync error', 'hang', 'thread ends'] as const) {
    it(`fails closed and recovers: ${fault}`, async () => {
      const folder = subfolder(`sqlite ${fault}`);
      const issuer = testIssuer('https://issuer.test', 'https://pass.test');
      const config = embeddedConfig(folder, issuer, { stores: { here: { kind: 'env', prefix: 'TEST_SECRET_' } } });
      const { commitWorker, set } = faultyCommits(root, fault);
      const opened = await openBroker(config, folder, { commitWorker, env: { TEST_SECRET_stripe: secretValue } });
      const subject: Subject = {
        ...opened,
        issuer,
        fault: (on) => set(on ? fault : undefined),
        close: () => opened.deployment.close(),
      };
      await failsClosed('sqlite', fault, subject).finally(subject.close);
    }, 30_000);
  }
});

describe('http', () => {
  let proxy: FaultProxy;
  let ledger: RunningServer;
  let fork: RunningServer;
  let stranger: RunningServer;
  let key: string;
  const edge = 'https://edge.test';
  const issuer = testIssuer('https://issuer.test', edge);
  const network = ['refuse', 'reset', 'hang', 'slow drip', '500', '302', '200 empty', '200 garbage'] as const;
  const changes: Record<string, Change> = {
    'wrong leaf': (_, earlier) => earlier,
    'truncated proof': (answer) => ({
      ...answer,
      receipts: answer.receipts.map((receipt) => ({ ...receipt, proof: withoutFirstHash(receipt.proof) })),
    }),
    'wrong index': (answer) => ({
      ...answer,
      receipts: answer.receipts.map((receipt) => ({
        ...receipt,
        index: receipt.index + 1,
        proof: receipt.proof.replace(/index \d+/, `index ${receipt.index + 1}`),
      })),
    }),
    'receipts missing': (answer) => ({ ...answer, receipts: [] }),
  };

  beforeAll(async () => {
    proxy = await faultProxy();
    // The edge's key is made here so that the ledgers can trust it as an issuer.
    const { generateKeyPairSync } = await import('node:crypto');
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    edgeKey = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    const edgeJwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), alg: 'ES256' }] };
    const start = async (name: string, keys: string) => {
      const folder = subfolder(name);
      const { file } = prepareEmbedded(folder, {
        broker: { url: proxy.url, signer: { kind: 'local', path: join(root, keys) } },
        issuers: { edge: { issuer: edge, jwks: edgeJwks } },
        credentials: { partner: { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m' } },
        roles: { broker: { ledger: 'append', mint: ['partner'] } },
        grants: [{ name: 'edge', identity: { issuer: 'edge', subject: 'broker' }, may: ['broker'] }],
      });
      return { server: await startServer(file), file };
    };
    const first = await start('ledger', 'keys-a');
    ledger = first.server;
    proxy.aim(ledger.url);
    key = runCli(['ledger', 'key', '--config', first.file]).stdout.trim();
    fork = (await start('fork', 'keys-a')).server;
    stranger = (await start('stranger', 'keys-b')).server;
  }, 60_000);
  afterAll(() => Promise.all([proxy?.close(), ...[ledger, fork, stranger].map((server) => server?.stop())]));
  let edgeKey = '';

  const faults: Record<string, () => ProxyFault> = {
    ...Object.fromEntries(network.map((name) => [name, () => ({ network: name })])),
    ...Object.fromEntries(Object.entries(changes).map(([name, change]) => [name, () => ({ change })])),
    'wrong key': () => ({ target: stranger.url }),
    'smaller tree than seen': () => ({ target: fork.url }),
  };
  for (const fault of Object.keys(faults)) {
    it(`fails closed and recovers: ${fault}`, async () => {
      const folder = subfolder(`http ${fault}`);
      const config = embeddedConfig(folder, issuer, {
        broker: { url: edge, signer: { kind: 'local', key: { store: 'here', name: 'edgekey' } } },
        ledger: { kind: 'http', url: proxy.url, key },
        stores: { here: { kind: 'env', prefix: 'TEST_SECRET_' } },
      });
      const opened = await openBroker(config, folder, {
        env: { TEST_SECRET_stripe: secretValue, TEST_SECRET_edgekey: edgeKey },
      });
      const set = (name: string | undefined) => proxy.set(name === undefined ? undefined : faults[name]?.());
      const subject: Subject = { ...opened, issuer, fault: set, close: () => opened.deployment.close() };
      await failsClosed('http', fault, subject).finally(subject.close);
    }, 30_000);
  }
});

describe('durable-object', () => {
  for (const fault of [
    'throws',
    'hang',
    '500',
    '200 empty',
    '200 garbage',
    'wrong leaf',
    'wrong key',
    'smaller tree than seen',
    'truncated proof',
    'wrong index',
    'storage full',
  ]) {
    it(`fails closed and recovers: ${fault}`, async () => {
      const folder = subfolder(`object ${fault}`);
      const issuer = testIssuer('https://issuer.test', 'https://pass.test');
      const object = openFaultyObject(folder);
      const config = embeddedConfig(folder, issuer, {
        broker: { url: 'https://pass.test', signer: { kind: 'local' } },
        ledger: { kind: 'durable-object', binding: 'LEDGER' },
        stores: { here: { kind: 'env', prefix: 'TEST_SECRET_' } },
      });
      const opened = await openBroker(config, folder, {
        runtime: 'workerd',
        folder: undefined,
        bindings: { LEDGER: object.namespace(config) },
        env: { TEST_SECRET_stripe: secretValue },
      });
      const subject: Subject = { ...opened, issuer, fault: object.set, close: () => object.close() };
      await failsClosed('durable-object', fault, subject).finally(subject.close);
    }, 30_000);
  }
});

/** A ledger that this broker writes itself, in this process: its driver's config and what it is reached by. */
async function brokerOn(folder: string, ledger: Record<string, unknown>, env: Record<string, string>) {
  const issuer = testIssuer('https://issuer.test', 'https://pass.test');
  const vars = { ...env, TEST_SECRET_stripe: secretValue, TEST_SECRET_SEED: '07'.repeat(32) };
  const config = embeddedConfig(folder, issuer, {
    ledger: { ...ledger, seed: { store: 'here', name: 'SEED' } },
    stores: { here: { kind: 'env', prefix: 'TEST_SECRET_' } },
  });
  const file = writeConfig(folder, config);
  const terminal = fakeTerminal({ folder, env: vars, fetch });
  expect(await runCommand(['ledger', 'init', '--config', file], terminal), terminal.said.err).toBe(0);
  return { ...(await openBroker(config, folder, { env: vars })), issuer };
}

describe('postgres', () => {
  let server: RealPostgres;
  let proxy: TcpProxy;
  beforeAll(async () => {
    server = await startDatabase();
    proxy = await startTcpProxy(server.port);
  }, 60_000);
  afterAll(async () => {
    await proxy?.close();
    await server?.remove();
  });

  const readOnly = (on: boolean) =>
    server
      .sql(`ALTER SYSTEM SET default_transaction_read_only = ${on ? 'on' : 'off'}`)
      .then(() => server.sql('SELECT pg_reload_conf()'));
  const misbehave = (how: 'reset' | 'hang') => (on: boolean) => {
    proxy.fault = on ? how : undefined;
    return undefined;
  };
  const faults: Record<string, (on: boolean) => Promise<unknown> | undefined> = {
    'connections reset': misbehave('reset'),
    hang: misbehave('hang'),
    'server stopped': (on) => (on ? server.stop() : server.start()),
    'read-only': readOnly,
  };
  for (const [fault, set] of Object.entries(faults)) {
    it(`fails closed and recovers: ${fault}`, async () => {
      const folder = subfolder(`postgres ${fault}`);
      const at = { ...adminOf(server, newSchema()), port: proxy.port };
      const url = { url: { store: 'here', name: 'LEDGER' } };
      const opened = await brokerOn(folder, { kind: 'postgres', ...url }, { TEST_SECRET_LEDGER: urlOf(at) });
      const subject: Subject = {
        ...opened,
        fault: async (on) => void (await set(on !== undefined)),
        close: () => opened.deployment.close(),
      };
      await failsClosed('postgres', fault, subject).finally(subject.close);
    }, 60_000);
  }
});

describe('dynamodb', () => {
  let dynamo: FakeDynamoDb;
  beforeAll(async () => {
    dynamo = await startDynamoDb();
  });
  afterAll(() => dynamo?.close());

  const faults: Record<string, FakeAnswer | FakeFault> = {
    '500': refuse(new Refused('InternalServerError', 'upstream words', 500)),
    throttled: refuse(new Refused('ThrottlingException', 'upstream words', 400)),
    'access denied': refuse(new Refused('AccessDeniedException', 'upstream words', 400)),
    'table gone': refuse(new Refused('ResourceNotFoundException', 'upstream words', 400)),
    'head always moved': cancelled('TransactionConflict'),
    reset: 'reset',
    hang: 'hang',
  };
  for (const [fault, answer] of Object.entries(faults)) {
    it(`fails closed and recovers: ${fault}`, async () => {
      const { endpoint, table: name, region } = configOf(dynamo.url, newTable());
      const folder = subfolder(`dynamodb ${fault}`);
      const env = {
        AWS_ACCESS_KEY_ID: 'ASIAOFTHEPLATFORM00',
        AWS_SECRET_ACCESS_KEY: 'not-a-secret',
        AWS_SESSION_TOKEN: 'not-a-token',
      };
      const opened = await brokerOn(folder, { kind: 'dynamodb', endpoint, table: name, region }, env);
      const moved = fault === 'head always moved';
      const set = (on: string | undefined) => {
        dynamo.server.instead = (call) =>
          on === undefined || (moved && operationOf(call) !== 'TransactWriteItems') ? undefined : answer;
      };
      const subject: Subject = { ...opened, fault: set, close: () => opened.deployment.close() };
      await failsClosed('dynamodb', fault, subject).finally(subject.close);
    }, 60_000);
  }
});

const withoutFirstHash = (proof: string): string => {
  const lines = proof.split('\n');
  lines.splice(2, 1);
  return lines.join('\n');
};
