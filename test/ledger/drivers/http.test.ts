import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import { httpLedger } from '../../../src/ledger/drivers/http.ts';
import { openSqliteLedger } from '../../../src/ledger/drivers/sqlite/open.ts';
import { brokerTypes } from '../../../src/ledger/writer.ts';
import type { Platform } from '../../../src/lib/platform.ts';
import { type LedgerGiven, type LedgerUnderTest, ledgerContract } from '../../contracts/ledger.ts';
import { random, soon } from '../fixtures.ts';
import { wireServer } from './wire-server.ts';

type Handle = (request: Request) => Promise<Response>;
interface Transport {
  readonly url: string;
  readonly fetch: Platform['fetch'];
  close(): Promise<void>;
}

const inProcess = async (handle: Handle): Promise<Transport> => ({
  url: 'https://central.example',
  fetch: (url, init) => handle(new Request(url, init)),
  close: async () => {},
});

async function overSockets(handle: Handle): Promise<Transport> {
  const server = createServer(getRequestListener(handle));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fetch: (url, init) => fetch(url, init),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function make(given: LedgerGiven, transport: (handle: Handle) => Promise<Transport>): Promise<LedgerUnderTest> {
  const { now, checkpointKey, origin, writer, minter, keyRecords } = given;
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-http-'));
  const platform: Platform = {
    runtime: 'node',
    now,
    random,
    fetch: () => Promise.reject(new Error('no network')),
    log: () => {},
    env: {},
    folder,
    instance: 'test',
  };
  const secrets = { checkpointKey, minter, keyRecords: () => keyRecords, keys: { assertions: [] } };
  const openLog = () => openSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, { platform, origin, writer, secrets });
  let log = await openLog();
  const { url, fetch, close } = await transport(
    wireServer(() => log, { name: writer.name, types: brokerTypes, mint: [] }),
  );
  const { open } = await httpLedger.load();
  const ledger = await open(
    { kind: 'http', url, key: await log.key(soon()) },
    { platform: { ...platform, fetch }, origin, writer, assertion: async () => 'assertion' },
  );
  return {
    ledger,
    async restart() {
      await log.close();
      log = await openLog();
      return ledger;
    },
    roll: () => log.roll({}, soon()),
    async end() {
      await close();
      await log.close();
      rmSync(folder, { recursive: true });
    },
  };
}

const traits = { reasons: false, local: false };
ledgerContract('http', (given) => make(given, inProcess), traits);
ledgerContract('http over sockets', (given) => make(given, overSockets), traits);
