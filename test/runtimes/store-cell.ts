import { generateKeyPairSync } from 'node:crypto';
import { loadConfig } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/text/problem.ts';
import type { Receipt } from '../../src/ledger/ledger.ts';
import { verifyReceipt } from '../../src/ledger/receipts/receipt.ts';
import type { Runtime } from '../../src/lib/platform.ts';
import { freePort } from '../support/free-port.ts';
import { startServer, temporaryFolder, writeConfig } from '../support/server.ts';
import { startLambda } from './lambda-runner.ts';
import { issuer, type Send } from './scenario.ts';
import { startWorkerd } from './workerd-runner.ts';

/** Whom a store is to trust: the assertions of one Hallpass. */
export interface Asserted {
  /** Its discovery document says where its keys are; it answers only once that Hallpass runs. */
  readonly issuer: string;
  readonly subject: string;
  /** For files of the test. */
  readonly folder: string;
}

/** A store with one secret in it, set up for one Hallpass on one runtime. */
export interface Shelf {
  /** The store's entry in the config. */
  readonly entry: Readonly<Record<string, unknown>>;
  readonly secret: { readonly name: string; readonly value: string };
  /** Variables that the runtime gets for it. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Logs in by an assertion: then there is a `session` record. */
  readonly session: boolean;
  /** Done once Hallpass runs: for a store that fetches its keys when it is told to trust it. */
  readonly trust?: () => Promise<void>;
  close(): Promise<void>;
}

/** Where a Hallpass is known, and the port of loopback where it listens. */
export interface Address {
  readonly url: string;
  readonly port: number;
}

export type OpenShelf = (asserted: Asserted, runtime: Runtime) => Promise<Shelf>;

/** What a cell of the table says. */
export interface Cell {
  readonly outcome: string;
  readonly log: string;
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' });
const ec = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
/** What Entra takes is RS256 only: an RSA key beside the one that Hallpass makes for itself. */
const rsaSigner = { kind: 'local', key: { store: 'keys', name: 'RSA' } };
export const keysStore = { kind: 'env', prefix: 'TEST_KEY_' };

/** A Hallpass that runs, and the ledger it writes to. */
export interface Hallpass {
  readonly send: Send;
  readonly ledger: Send;
  readonly log: () => string;
  readonly end: () => Promise<void>;
}

/**
 * One cell: Hallpass starts on the runtime with this store, a workload token goes in, the secret comes out with a receipt
 * that verifies, and the ledger has a `session` record where the store logs in by an assertion. Throws where any of it is not so.
 */
export async function showCell(runtime: Runtime, open: OpenShelf, address?: Address): Promise<Cell> {
  const { folder, remove } = temporaryFolder();
  const { url, port } = address ?? (await freeAddress());
  const broker = runtime === 'lambda' ? 'https://pass.test' : url;
  const shelf = await open({ issuer: url, subject: `broker:${new URL(broker).host}`, folder }, runtime);
  let hallpass: Hallpass | undefined;
  try {
    const setup: Setup = {
      configOf: (at, parts, more) => configOf(at, parts, shelf, more),
      variables: shelf.variables ?? {},
      mint: ['under-test'],
    };
    hallpass = await startHallpass(runtime, { url, port, broker, folder, setup });
    await shelf.trust?.();
    return { outcome: await useCell(hallpass, shelf), log: hallpass.log() };
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}\n${hallpass?.log() ?? ''}`);
  } finally {
    await hallpass?.end();
    await shelf.close();
    remove();
  }
}

export async function freeAddress(): Promise<Address> {
  const port = await freePort();
  return { url: `http://127.0.0.1:${port}`, port };
}

/** The problems that a config with this store has on a runtime. */
export async function problemsOn(runtime: Runtime, entry: Readonly<Record<string, unknown>>): Promise<string[]> {
  const ledger = { node: sqlite, workerd: objectLedger, lambda: { kind: 'http', url: 'https://ledger.test', key: '' } };
  const parts = { signer: { kind: 'local' }, ledger: ledger[runtime] };
  const config = configOf('https://pass.test', parts, { entry, secret: { name: 'stripe', value: '' } });
  return loadConfig(JSON.stringify(config), { file: 'test', runtime, env: {} }).then(
    () => [],
    (error) => (error instanceof ConfigError ? error.problems.map(({ message }) => message) : Promise.reject(error)),
  );
}

async function useCell({ send, ledger }: Hallpass, shelf: Shelf): Promise<string> {
  const as = (sub: string) => ({ authorization: `Bearer ${issuer.token({ sub })}` });
  const response = await send('/v1/credentials/stripe-key', { method: 'POST', headers: as('svc:checkout') });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status} ${text}`);
  const { data, receipt } = JSON.parse(text) as { data: { value: string }; receipt: Receipt };
  if (data.value !== shelf.secret.value) throw new Error('another value than the one that was put there');
  verifyReceipt(receipt, (await (await send('/v1/log/key')).text()).trim());

  const query = await ledger('/v1/issuances?type=session', { headers: as('svc:auditor') });
  const { items } = (await query.json()) as { items: { record: { store?: string; audience?: string } }[] };
  const sessions = items.filter(({ record }) => record.store === 'under-test');
  if (sessions.length !== (shelf.session ? 1 : 0)) throw new Error(`${sessions.length} session records`);
  return shelf.session ? 'secret, receipt, session' : 'secret, receipt';
}

/** What a Hallpass is set up with, wherever it runs. */
export interface Setup {
  /** `more` belongs to a ledger that others write to. */
  configOf(url: string, parts: { readonly signer: unknown; readonly ledger: unknown }, more?: More): object;
  readonly variables: Readonly<Record<string, string>>;
  /** The stores and credentials that a broker elsewhere may have signed for. */
  readonly mint: readonly string[];
}

export interface More {
  readonly issuers?: object;
  readonly roles?: object;
  readonly grants?: readonly object[];
}

interface Start {
  readonly url: string;
  readonly port: number;
  readonly broker: string;
  readonly folder: string;
  readonly setup: Setup;
}

/** Starts one, with an RSA key beside its own. On Lambda its ledger is at a Node server, which listens at `url`. */
export const startHallpass = (runtime: Runtime, start: Start): Promise<Hallpass> => starts[runtime](start);

const starts: Readonly<Record<Runtime, (start: Start) => Promise<Hallpass>>> = {
  async node({ url, port, folder, setup }) {
    const parts = { signer: [{ kind: 'local', path: 'keys' }, rsaSigner], ledger: sqlite };
    const file = writeConfig(folder, setup.configOf(url, parts));
    const server = await startServer(file, port, [], variablesOf(setup));
    const send = sendTo(port);
    return { send, ledger: send, log: server.log, end: () => server.stop().then(() => {}) };
  },

  async workerd({ url, port, folder, setup }) {
    const parts = {
      signer: [{ kind: 'local' }, rsaSigner],
      ledger: objectLedger,
    };
    const config = setup.configOf(url, parts);
    const worker = await startWorkerd({ config, variables: variablesOf(setup), folder, port });
    return { send: worker.send, ledger: worker.send, log: worker.log, end: worker.end };
  },

  /** Its ledger is at a Node server, which signs: for the credential's store of the same name, by the same config entry. */
  async lambda({ url, port, broker, folder, setup }) {
    const { privateKey, publicKey } = ec();
    const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] };
    const parts = { signer: [{ kind: 'local', path: 'keys' }, rsaSigner], ledger: sqlite };
    const central = setup.configOf(url, parts, {
      issuers: { edge: { issuer: broker, audience: url, jwks } },
      roles: { writer: { ledger: 'append', mint: setup.mint } },
      grants: [{ name: 'edge', identity: { issuer: 'edge', subject: 'broker' }, may: ['writer'] }],
    });
    const server = await startServer(writeConfig(folder, central), port, [], variablesOf(setup));
    const ledger = sendTo(port);
    const key = (await (await ledger('/v1/log/key')).text()).trim();
    const config = setup.configOf(broker, {
      signer: { kind: 'local', key: { store: 'keys', name: 'EC' } },
      ledger: { kind: 'http', url, key },
    });
    const lambda = startLambda({
      ...variablesOf(setup),
      TEST_KEY_EC: JSON.stringify(privateKey.export({ format: 'jwk' })),
      HALLPASS_CONFIG: JSON.stringify(config),
    });
    const end = async () => {
      await lambda.end();
      await server.stop();
    };
    return { send: lambda.send, ledger, log: () => `${lambda.log()}${server.log()}`, end };
  },
};

const sendTo =
  (port: number): Send =>
  (path, init) =>
    fetch(`http://127.0.0.1:${port}${path}`, init);

const objectLedger = { kind: 'durable-object', binding: 'LEDGER' };
const sqlite = { kind: 'sqlite', path: 'ledger.db' };
const variablesOf = (setup: Setup) => ({ ...setup.variables, TEST_KEY_RSA: rsa as string });

function configOf(
  url: string,
  { signer, ledger }: { readonly signer: unknown; readonly ledger: unknown },
  { entry, secret }: Pick<Shelf, 'entry' | 'secret'>,
  more: More = {},
): object {
  return {
    broker: { url, audience: 'https://pass.test', signer },
    ledger,
    issuers: { ci: { issuer: issuer.url, jwks: issuer.jwks }, ...more.issuers },
    stores: { 'under-test': entry, keys: keysStore },
    credentials: { 'stripe-key': { kind: 'secret', store: 'under-test', name: secret.name } },
    roles: { checkout: ['stripe-key'], auditor: { audit: 'read' }, ...more.roles },
    grants: [
      { name: 'checkout', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['checkout'], ttl: '10m' },
      { name: 'audit', identity: { issuer: 'ci', subject: 'svc:auditor' }, may: ['auditor'] },
      ...(more.grants ?? []),
    ],
    // The first use of a store loads its client: what is shown here is not how fast.
    limits: { store: '20s', ledger: '10s', request: '40s' },
  };
}
