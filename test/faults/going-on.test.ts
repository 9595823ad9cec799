import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { nodeIo } from '../../src/lib/node-io.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { freePort } from '../support/free-port.ts';
import { testIssuer } from '../support/issuer.ts';
import { cli, type RunningServer, startServer, temporaryFolder, writeConfig } from '../support/server.ts';

// Real processes: a ledger, its standby, and a broker in front of both.

const kills = Number(process.env.HALLPASS_KILLS ?? 0);
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
  for (const server of servers) await server.kill();
  remove();
});

async function hallpass(...args: string[]): Promise<string> {
  return (await run(process.execPath, [cli, ...args])).stdout;
}

interface Given {
  readonly log: string;
  readonly index: number;
  readonly id: string;
}

it('issues again after its ledger was killed under load and the standby promoted, and names exactly what is lost', async () => {
  const [first, second] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${first}`;
  const standbyUrl = `http://127.0.0.1:${second}`;
  const edgeUrl = 'https://edge.test';
  const cluster = testIssuer('https://cluster.test', url);
  const ci = testIssuer('https://ci.test', edgeUrl);
  const tokens = { edge: join(folder, 'edge.token'), standby: join(folder, 'standby.token') };
  writeFileSync(tokens.edge, cluster.token({ sub: 'system:edge' }));
  writeFileSync(tokens.standby, cluster.token({ sub: 'system:standby' }));
  const ledgerConfig = (path: string, more: object = {}) => ({
    broker: { url, signer: { kind: 'local', path: join(folder, 'keys') } },
    ledger: { kind: 'sqlite', path, ...more },
    issuers: { cluster: { issuer: cluster.url, jwks: cluster.jwks } },
    roles: { writer: { ledger: 'append', writer: edgeUrl }, follower: { ledger: 'follow' } },
    grants: [
      { name: 'edge', identity: { issuer: 'cluster', subject: 'system:edge' }, may: ['writer'] },
      { name: 'standby', identity: { issuer: 'cluster', subject: 'system:standby' }, may: ['follower'] },
    ],
  });
  const primaryFile = writeConfig(join(folder, 'primary'), ledgerConfig('ledger.db'));
  const identity = { kind: 'file', tokenFile: tokens.standby };
  const standbyFile = writeConfig(join(folder, 'standby'), ledgerConfig('ledger.db', { follow: { url, identity } }));
  const primary = await startServer(primaryFile, first);
  const standby = await startServer(standbyFile, second);
  servers = [primary, standby];
  const key = (await (await fetch(`${url}/v1/log/key`)).text()).trim();
  const env = { HALLPASS_SECRET_SHARED: randomBytes(32).toString('base64'), HALLPASS_SECRET_STRIPE: 'not-a-real-key' };
  broker = await openBroker(
    {
      broker: { url: edgeUrl, secret: { store: 'vars', name: 'SHARED' } },
      ledger: { kind: 'http', url, standby: standbyUrl, key, identity: { kind: 'file', tokenFile: tokens.edge } },
      issuers: { ci: { issuer: ci.url, jwks: ci.jwks } },
      stores: { vars: { kind: 'env' } },
      credentials: { stripe: { kind: 'secret', store: 'vars', name: 'STRIPE' } },
      grants: [{ name: 'all', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['stripe'], ttl: '5m' }],
    },
    join(folder, 'edge'),
    { ...nodeIo(folder), env },
  );
  const edge = broker;

  const given: Given[] = [];
  let loading = true;
  const work = async () => {
    while (loading) {
      const answer = await edge.ask('/v1/credentials/stripe', ci.token());
      const body = (await answer.json()) as { id: string; receipt: { log: string; index: number } };
      if (answer.status === 200) given.push({ log: body.receipt.log, index: body.receipt.index, id: body.id });
      else await pause(20);
    }
  };
  const load = [work(), work(), work(), work()];
  await expect.poll(() => given.length, { timeout: 15_000 }).toBeGreaterThan(60);
  expect((await fetch(`${standbyUrl}/readyz`)).status).toBe(503);
  expect(await (await fetch(`${url}/metrics`)).text()).toContain('hallpass_standby_lag_records{standby="standby"');
  await primary.kill();
  const before = given.filter(({ log }) => !log.endsWith('~2'));

  const promoted = JSON.parse(await hallpass('ledger', 'promote', '--config', standbyFile, '--fenced', '--json'))
    .logs[0];
  const at = Date.now();
  await expect.poll(() => given.some(({ log }) => log.endsWith('~2')), { timeout: 10_000, interval: 20 }).toBe(true);
  const back = Date.now() - at;
  expect(back).toBeLessThan(10_000);
  // The one that was replaced comes back: nobody who knows better listens to it.
  servers.push(await startServer(primaryFile, first));
  const count = given.length;
  await expect.poll(() => given.length, { timeout: 10_000 }).toBeGreaterThan(count + 20);
  loading = false;
  await Promise.all(load);

  const origin = `127.0.0.1:${first}/ledger`;
  const [old, young] = [before.map(({ index }) => index), given.filter(({ log }) => log !== origin)];
  expect(new Set(young.map(({ log }) => log))).toEqual(new Set([`${origin}~2`]));
  expect(given.length).toBe(old.length + young.length);
  await servers[1]?.stop();
  const report = JSON.parse(await hallpass('ledger', 'verify', '--config', standbyFile, '--json'));
  expect(report.findings).toEqual([]);
  // Nothing that was acknowledged lies beyond what is named: it is in the log, or in the gap.
  const last = Math.max(...old);
  if (last < promoted.kept) expect(report.gaps.every((gap: { to: number }) => gap.to <= last + 2)).toBe(true);
  else expect(report.gaps).toMatchObject([{ log: origin, from: promoted.kept }]);
  for (const gap of report.gaps) expect(gap.to).toBeGreaterThan(last);
}, 90_000);

it.runIf(kills > 0)(
  `loses nothing to ${kills} kill -9 in the midst of a roll (HALLPASS_KILLS says how many)`,
  async () => {
    const file = writeConfig(folder, {
      broker: { url: 'https://pass.test', signer: { kind: 'local', path: 'keys' } },
      ledger: { kind: 'sqlite', path: 'ledger.db' },
    });
    await hallpass('ledger', 'init', '--config', file);
    const started = Date.now();
    await hallpass('ledger', 'roll', '--config', file);
    const whole = Date.now() - started;
    for (let kill = 0; kill < kills; kill++) {
      const child = spawn(process.execPath, [cli, 'ledger', 'roll', '--config', file], { stdio: 'ignore' });
      const ended = new Promise((resolve) => child.once('exit', resolve));
      await pause(whole * (0.4 + 0.6 * Math.random()));
      child.kill('SIGKILL');
      await ended;
    }
    expect(await hallpass('ledger', 'roll', '--config', file)).toContain('has begun');
    const report = JSON.parse(await hallpass('ledger', 'verify', '--config', file, '--json'));
    expect(report.findings).toEqual([]);
    expect(report.size % 2).toBe(0);
  },
  60_000 + kills * 5_000,
);
