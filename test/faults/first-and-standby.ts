import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, connect as dial, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import { openBroker } from '../support/broker.ts';
import { freePort } from '../support/free-port.ts';
import { testIssuer } from '../support/issuer.ts';
import { cli, type RunningServer, startServer, temporaryFolder, writeConfig } from '../support/server.ts';

// Real processes: a ledger that answers what its standby confirmed, the standby, and a broker in front of both.

const run = promisify(execFile);

interface Given {
  readonly log: string;
  readonly index: number;
  readonly id: string;
}

interface Answer {
  readonly status: number;
  readonly body: { readonly id: string; readonly code?: string; readonly receipt: Given };
}

export interface Place {
  readonly primary: RunningServer;
  readonly url: string;
  readonly origin: string;
  /** What was acknowledged so far. */
  readonly given: readonly Given[];
  ask(subject?: string, token?: string): Promise<Answer>;
  token(subject: string): string;
  lock(grant: string, method?: 'POST' | 'DELETE', id?: string): Promise<Response>;
  /** Gives a lease back; what is done is to be in the log that counts as well. */
  revoke(id: string): Promise<void>;
  /** Between the standby and the first nothing goes any more. */
  cut(): void;
  /** The first anew, after its end. */
  restart(ledger: object): Promise<RunningServer>;
  /** So many were answered from the log of this generation. */
  givenFrom(generation: number, more?: number): Promise<void>;
  /** Ends the load, and looks for what was acknowledged in the log of the standby, which must verify. */
  lost(): Promise<readonly unknown[]>;
  close(): Promise<void>;
}

/** Starts all of it, and four clients that ask one credential after another. */
export async function openPlace(): Promise<Place> {
  const { folder, remove } = temporaryFolder();
  const [first, second, between] = [await freePort(), await freePort(), await freePort()];
  const url = `http://127.0.0.1:${first}`;
  const edgeUrl = 'https://edge.test';
  const origin = `127.0.0.1:${first}/ledger`;
  const cluster = testIssuer('https://cluster.test', url);
  const ci = testIssuer('https://ci.test', edgeUrl);
  const tokens = { edge: join(folder, 'edge.token'), standby: join(folder, 'standby.token') };
  writeFileSync(tokens.edge, cluster.token({ sub: 'system:edge' }));
  writeFileSync(tokens.standby, cluster.token({ sub: 'system:standby' }));
  const ledgerConfig = (ledger: object) => ({
    broker: { url, signer: { kind: 'local', path: join(folder, 'keys') } },
    ledger: { kind: 'sqlite', path: 'ledger.db', ...ledger },
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
  const line = await openLine(between, first);
  const followed = { url: `http://127.0.0.1:${between}`, identity: { kind: 'file', tokenFile: tokens.standby } };
  const follow = { ...followed, promote: { after: '5s' } };
  const standbyFile = writeConfig(join(folder, 'standby'), ledgerConfig({ follow }));
  const primaryFolder = join(folder, 'primary');
  const primaryFile = writeConfig(primaryFolder, ledgerConfig({ confirm: { standby: 'standby' } }));
  const primary = await startServer(primaryFile, first);
  const standby = await startServer(standbyFile, second);
  const servers = [primary, standby];
  const key = (await (await fetch(`${url}/v1/log/key`)).text()).trim();
  const env = { HALLPASS_SECRET_SHARED: randomBytes(32).toString('base64'), HALLPASS_SECRET_STRIPE: 'not-a-real-key' };
  const grant = (name: string, subject: string, more: object = {}) => ({
    name,
    identity: { issuer: 'ci', subject },
    may: ['stripe'],
    ttl: '5m',
    ...more,
  });
  const standbyUrl = `http://127.0.0.1:${second}`;
  const edge = await openBroker(
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

  async function ask(subject = 'svc:checkout', token = ci.token({ sub: subject })): Promise<Answer> {
    const answer = await edge.ask('/v1/credentials/stripe', token);
    return { status: answer.status, body: (await answer.json()) as Answer['body'] };
  }

  const given: Given[] = [];
  const revoked = new Set<string>();
  let loading = true;
  const work = async () => {
    while (loading) {
      const { status, body } = await ask();
      if (status === 200) given.push({ log: body.receipt.log, index: body.receipt.index, id: body.id });
      // Busy enough that something is always under way, and the machine has room for the others.
      await pause(25);
    }
  };
  const load = [work(), work(), work(), work()];
  const unload = async () => {
    loading = false;
    await Promise.all(load);
  };

  return {
    primary,
    url,
    origin,
    given,
    ask,
    token: (sub) => ci.token({ sub }),
    lock: (name, method = 'POST', id = '') =>
      fetch(`${url}/v1/lockdowns${id && `/${id}`}`, {
        method,
        headers: {
          authorization: `Bearer ${cluster.token({ sub: 'system:ops' })}`,
          'content-type': 'application/json',
        },
        body: JSON.stringify(method === 'POST' ? { match: { grant: name }, force: true, reason: 'incident' } : {}),
      }),
    async revoke(id) {
      const { status } = await edge.ask(`/v1/leases/${id}`, ci.token(), 'DELETE');
      if (status < 300) revoked.add(id);
    },
    cut: line.cut,
    async restart(ledger) {
      const server = await startServer(writeConfig(primaryFolder, ledgerConfig(ledger)), first);
      servers.push(server);
      return server;
    },
    givenFrom: (generation, more = 0) => {
      const log = generation === 1 ? origin : `${origin}~${generation}`;
      const from = () => given.filter((one) => one.log === log).length;
      return until(() => from() > more, 40_000);
    },
    async lost() {
      await unload();
      await standby.stop();
      const { stdout } = await run(process.execPath, [cli, 'ledger', 'verify', '--config', standbyFile, '--json']);
      expect(JSON.parse(stdout).findings).toEqual([]);
      const all = await openBroker(ledgerConfig({}), join(folder, 'standby'));
      const { reader } = all.deployment.ledger;
      const ids = new Map<string, string>();
      for (let from = 0; ; from += 1_000) {
        const some = (await reader?.entries(from, from + 1_000, deadlineIn(5_000, Date.now))) ?? [];
        for (const { log, leaf, record } of some) {
          const { id, type, issuance } = JSON.parse(record);
          ids.set(`${log} ${leaf}`, id);
          if (type === 'revocation') revoked.delete(issuance);
        }
        if (some.length < 1_000) break;
      }
      await all.deployment.close();
      return [...given.filter(({ log, index, id }) => ids.get(`${log} ${index}`) !== id), ...revoked];
    },
    async close() {
      await unload();
      await edge.deployment.close();
      for (const server of servers) {
        server.child.kill('SIGCONT');
        await server.kill();
      }
      line.cut();
      remove();
    },
  };
}

/** Not `expect.poll`, which asks whose test it is in: there are several at once. @throws Error where it takes longer */
export async function until(met: () => boolean | Promise<boolean>, ms: number): Promise<void> {
  for (const end = Date.now() + ms; !(await met()); await pause(20))
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${met}`);
}

/** A line that can be cut: whoever calls is refused then, and whoever had called is cut off. */
async function openLine(port: number, to: number): Promise<{ cut(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const far = dial(to, '127.0.0.1');
    for (const one of [socket, far]) {
      sockets.add(one);
      one.on('error', () => {});
      one.once('close', () => sockets.delete(one));
    }
    socket.pipe(far).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    cut() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
