import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import { expect, it } from 'vitest';
import { httpLedger } from '../../../src/ledger/drivers/http.ts';
import { openSqliteLedger } from '../../../src/ledger/drivers/sqlite/open.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import { brokerTypes } from '../../../src/ledger/records/writer.ts';
import type { Platform } from '../../../src/lib/platform.ts';
import { type LedgerGiven, type LedgerUnderTest, ledgerContract, refusal } from '../../contracts/ledger.ts';
import { asking, clockAt, random, scribe, soon, writer } from '../fixtures.ts';
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

interface OverHttp extends LedgerUnderTest {
  /** The log itself, on the other side. */
  readonly central: () => Ledger;
}

async function make(given: LedgerGiven, transport: (handle: Handle) => Promise<Transport>): Promise<OverHttp> {
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
    central: () => log,
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

it('goes on in the next log where it has heard of a lockdown', async () => {
  const clock = clockAt(Date.now());
  const write = scribe(clock);
  const checkpointKey = new Uint8Array(32).fill(7);
  const minter = { check() {}, sign: async () => 'signed' };
  const given = { now: () => clock.at, checkpointKey, origin: 'pass.example.com/ledger', writer, minter };
  const under = await make({ ...given, keyRecords: [] }, inProcess);
  try {
    const issue = (epoch: number) =>
      under.ledger.append({ ...asking(write.issuance(write.id(), { epoch })), epoch }, soon());
    await issue(0);
    await under.central().append(asking(write.lockdown('add', 'issuer', 1, { issuer: 'shop' })), soon());
    expect((await refusal(issue(0))).options.members).toMatchObject({ epoch: 1 });
    await issue(1);
    await under.roll?.();
    expect((await issue(1)).receipts[0]?.log).toBe('pass.example.com/ledger~2');
  } finally {
    await under.end();
  }
});
