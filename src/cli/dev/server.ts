import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { deadlineIn } from '../../lib/deadline.ts';
import { Secret } from '../../lib/secret.ts';
import { StoreError } from '../../stores/store.ts';
import { type ConfigFile, readConfigFile } from '../config-file.ts';
import { announce, configFile, type DevIssuer, logFile, openIssuer } from '../dev-folder.ts';
import { openServer, portFailure } from '../open-server.ts';
import { asked, openNamedStore } from '../store/open-store.ts';
import type { Terminal } from '../terminal.ts';
import { demo, devConfig } from './config.ts';
import { serveIssuer } from './issuer.ts';

export interface DevServer {
  readonly url: string;
  readonly issuer: DevIssuer;
  /** The ledger's verifier key. */
  readonly key: string;
  close(): Promise<void>;
}

const host = '127.0.0.1';
const stepMs = 15_000;

/** Makes what is missing in the folder and serves it all on loopback. @throws Failure */
export async function startDev(dir: string, port: number, terminal: Terminal): Promise<DevServer> {
  const free = await freePort(port);
  const url = `http://${host}:${free}`;
  const issuer = await openIssuer(dir, url);
  await writeFile(configFile(dir), devConfig(url, issuer));
  const file = await readConfigFile(configFile(dir), terminal);
  await putDemo(file, terminal);
  const log = createWriteStream(logFile(dir), { flags: 'a', mode: 0o600 });
  const quiet = { ...terminal, err: (text: string) => void log.write(text) };
  const server = await openServer(file, { host, port: free, ahead: serveIssuer(issuer) }, quiet);
  try {
    const until = deadlineIn(stepMs, terminal.now);
    const key = await server.deployment.ledger.key(until);
    const withdraw = await announce(dir, url, process.pid);
    return {
      url,
      issuer,
      key,
      async close() {
        await withdraw();
        await server.close();
        log.end();
      },
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}

// The port is part of the config (broker.url), so it is tried, and chosen when any will do, before there is a server.
function freePort(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error) => reject(portFailure(error, { host, port }) ?? error));
    probe.listen(port, host, () => {
      const address = probe.address();
      const found = typeof address === 'object' && address !== null ? address.port : port;
      probe.close(() => resolve(found));
    });
  });
}

async function putDemo(file: ConfigFile, terminal: Terminal): Promise<void> {
  const store = await openNamedStore(file, demo.store, terminal);
  const until = deadlineIn(stepMs, terminal.now);
  try {
    await store.describe(demo.name, until);
  } catch (error) {
    if (!(error instanceof StoreError) || error.fault !== 'absent') throw error;
    await asked(terminal, demo.store, demo.name, store.put(demo.name, new Secret(demo.value), until));
  }
}
