import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createApp } from '../../src/http/app.ts';
import { type NodeServer, serveNode } from '../../src/http/node.ts';
import type { Platform } from '../../src/lib/platform.ts';
import { openBroker } from '../support/broker.ts';
import { embeddedConfig, prepareEmbedded } from '../support/config.ts';
import { freePort } from '../support/free-port.ts';
import { temporaryFolder } from '../support/server.ts';

export interface RunningBroker {
  readonly url: string;
  /** The ledger's verifier key. */
  readonly key: string;
  /** A workload token that is good now, by the clock of the test. */
  token(subject?: string): string;
  /** How many records of a type the ledger holds. */
  count(type: string): Promise<number>;
  stop(): Promise<void>;
  start(): Promise<void>;
  end(): Promise<void>;
}

/** A whole broker in this process, served on loopback; its clock is Date.now as it is at each moment. */
export async function startBroker(): Promise<RunningBroker> {
  const { folder, remove } = temporaryFolder();
  const { issuer } = prepareEmbedded(folder);
  const platform: Platform = {
    runtime: 'node',
    now: () => Date.now(),
    random: (bytes) => new Uint8Array(randomBytes(bytes)),
    fetch: (url, init) => fetch(url, init),
    log: () => {},
    env: {},
    folder,
    instance: 'test',
  };
  const broker = await openBroker(embeddedConfig(folder, issuer), folder, platform);
  const app = createApp(broker.deployment, platform);
  const listenAt = { host: '127.0.0.1', port: await freePort() };
  let server: NodeServer | undefined = await serveNode(app, platform, listenAt);
  const token = (sub = 'svc:checkout') => {
    const at = Math.floor(Date.now() / 1000);
    return issuer.token({ sub, iat: at, nbf: at, exp: at + 600 });
  };
  return {
    url: server.url,
    key: (await (await broker.send('/v1/log/key')).text()).trim(),
    token,
    async count(type) {
      const path = `/v1/issuances?type=${type}&limit=1000`;
      const answer = await broker.ask(path, token('svc:auditor'), 'GET');
      return ((await answer.json()) as { items: unknown[] }).items.length;
    },
    async stop() {
      await server?.close();
      server = undefined;
    },
    async start() {
      server = await serveNode(app, platform, listenAt);
    },
    async end() {
      await server?.close();
      await broker.deployment.close();
      remove();
    },
  };
}

export interface Peer {
  readonly url: string;
  /** What each request said of who it is, newest last. */
  readonly shown: string[];
  readonly server: Server;
}

/** Somebody outside who is called with a credential. */
export async function startPeer(status: (request: IncomingMessage) => number = () => 200): Promise<Peer> {
  const shown: string[] = [];
  const server = createServer((request, response) => {
    shown.push(String(request.headers.authorization));
    response.writeHead(status(request)).end(`answer to ${request.url}`);
  });
  const port = await freePort();
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${port}`, shown, server };
}
