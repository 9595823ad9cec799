import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { nodeIo } from '../../src/lib/node-io.ts';
import { freePort } from '../http/free-port.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { testIssuer } from '../support/issuer.ts';
import { cli, type RunningServer, startServer, temporaryFolder, writeConfig } from '../support/server.ts';

// Real processes: a ledger that answers what its standby confirmed, the standby, and a broker in front of both.

const run = promisify(execFile);

let folder: string;
let remove: () => void;
let servers: RunningServer[];
let broker: OpenBroker | undefined;

beforeEach(() => {
  ({ folder, remove } = temporaryFolder());
  servers = [];
});
afterEach(async () => {
  await broker?.deployment.close();
  broker = undefined;
  for (const server of servers) {
    server.child.kill('SIGCONT');
    await server.kill();
  }
  remove();
});

interface Given {
  readonly log: string;
  readonly index: number;
  readonly id: string;
}

it('takes over from a first that was stopped under load: nothing acknowledged is lost, and the first answers nothing when it goes on', async () => {
  const [first, second] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${first}`;
  const standbyUrl = `http://127.0.0.1:${second}`;
  const edgeUrl = 'https://edge.test';
  const cluster = testIssuer('https://cluster.test', url);
  const ci = testIssuer('https://ci.test', edgeUrl);
  const tokens = { edge: join(folder, 'edge.token'), standby: join(folder, 'standby.token') };
  writeFileSync(tokens.edge, cluster.token({ sub: 'system:edge' }));
  writeFileSync(tokens.standby, cluster.token({ sub: 'system:standby' }));
  const ops = () => cluster.token({ sub: 'system:ops' });
  const ledgerConfig = (more: object) => ({
    broker: { url, signer: { kind: 'local', path: join(folder, 'keys') } },
    ledger: { kind: 'sqlite', path: 'ledger.db', ...more },
    issuers: { cluster: { issuer: cluster.url, jwks: cluster.jwks } },
    roles: {
      writer: { ledger: 'append', writer: edgeUrl },
      follower: { ledger: 'follow' },
      warden: { lockdown: 'write' },
    },
    grants: [
      { name: 'edge', identity: { issuer: 'cluster', subject: 'system:edge' }, may: ['writer'] },
      { name: 'standby', identity: { issuer: 'cluster', subject: 'system:standby' }, may: ['follower'] },
      { name: 'ops', identity: { issuer: 'cluster', subject: 'system:ops' }, may: ['warden'] },
    ],
  });
  const identity = { kind: 'file', tokenFile: tokens.standby };
  const follow = { url, identity, promote: { after: '5s' } };
  const standbyFile = writeConfig(join(folder, 'standby'), ledgerConfig({ follow }));
  const primaryFile = writeConfig(join(folder, 'primary'), ledgerConfig({ confirm: { standby: 'standby' } }));
  const primary = await startServer(primaryFile, first);
  const standby = await startServer(standbyFile, second);
  servers = [primary, standby];
  const key = (await (await fetch(`${url}/v1/log/key`)).text()).trim();
  const env = { HALLPASS_SECRET_SHARED: randomBytes(32).toString('base64'), HALLPASS_SECRET_STRIPE: 'not-a-real-key' };
  const grant = (name: string, subject: string, more: object = {}) => ({
    name,
    identity: { issuer: 'ci', subject },
    may: ['stripe'],
    ttl: '5m',
    ...more,
  });
  broker = await openBroker(
    {
      broker: { url: edgeUrl, secret: { store: 'vars', name: 'SHARED' } },
      ledger: { kind: 'http', url, standby: standbyUrl, key, identity: { kind: 'file', tokenFile: tokens.edge } },
      issuers: { ci: { issuer: ci.url, jwks: ci.jwks } },
      stores: { vars: { kind: 'env' } },
      credentials: { stripe: { kind: 'secret', store: 'vars', name: 'STRIPE' } },
      grants: [
        grant('all', 'svc:checkout'),
        grant('spend', 'svc:spender', { once: true }),
        grant('frozen', 'svc:frozen'),
      ],
    },
    join(folder, 'edge'),
    { ...nodeIo(folder), env },
  );
  const edge = broker;
  const asked = async (token: string) => {
    const answer = await edge.ask('/v1/credentials/stripe', token);
    return { status: answer.status, body: (await answer.json()) as { id: string; code?: string; receipt: Given } };
  };

  const given: Given[] = [];
  let loading = true;
  const work = async () => {
    while (loading) {
      const { status, body } = await asked(ci.token());
      if (status === 200) given.push({ log: body.receipt.log, index: body.receipt.index, id: body.id });
      else await pause(20);
    }
  };
  const load = [work(), work(), work(), work()];
  const origin = `127.0.0.1:${first}/ledger`;
  // The promise begins with the second log.
  await expect
    .poll(() => given.filter(({ log }) => log === `${origin}~2`).length, { timeout: 20_000 })
    .toBeGreaterThan(60);
  const spent = ci.token({ sub: 'svc:spender' });
  await expect.poll(async () => (await asked(spent)).status).toBe(200);
  const lock = (name: string) =>
    fetch(`${url}/v1/lockdowns`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ops()}`, 'content-type': 'application/json' },
      body: JSON.stringify({ match: { grant: name }, force: true, reason: 'incident' }),
    });
  const added = await lock('frozen');
  expect(added.status).toBe(201);
  primary.child.kill('SIGSTOP');
  await expect.poll(() => given.some(({ log }) => log === `${origin}~3`), { timeout: 40_000, interval: 20 }).toBe(true);
  expect((await asked(spent)).body.code).toBe('replayed');
  expect((await asked(ci.token({ sub: 'svc:spender' }))).status).toBe(200);
  expect((await asked(ci.token({ sub: 'svc:frozen' }))).status).toBe(403);

  primary.child.kill('SIGCONT');
  const count = given.length;
  await expect.poll(() => primary.log(), { timeout: 15_000 }).toContain('replaced_by_standby');
  expect((await again(() => fetch(`${url}/readyz`))).status).toBe(503);
  expect((await again(() => lock('spend'))).status).toBe(503);
  await expect.poll(() => given.length, { timeout: 10_000 }).toBeGreaterThan(count + 20);
  loading = false;
  await Promise.all(load);
  await standby.stop();
  const { stdout } = await run(process.execPath, [cli, 'ledger', 'verify', '--config', standbyFile, '--json']);
  expect(JSON.parse(stdout).findings).toEqual([]);
  // Whatever was acknowledged, by the one or the other, is in the log that counts, where its receipt says.
  const all = await openBroker(JSON.parse(JSON.stringify(ledgerConfig({}))), join(folder, 'standby'));
  const { reader } = all.deployment.ledger;
  const ids = new Map<string, string>();
  for (let from = 0; ; from += 1_000) {
    const some = (await reader?.entries(from, from + 1_000, until())) ?? [];
    for (const { log, leaf, record } of some) ids.set(`${log} ${leaf}`, JSON.parse(record).id);
    if (some.length < 1_000) break;
  }
  await all.deployment.close();
  expect(given.filter(({ log, index, id }) => ids.get(`${log} ${index}`) !== id)).toEqual([]);
}, 120_000);

/** A connection that was kept may have ended while the other end stood still. */
const again = (ask: () => Promise<Response>) => ask().catch(ask);

const until = () => ({ at: Date.now() + 5_000, left: () => 5_000, within: () => until() });
