import type { InspectDeps, LedgerDriverDeps } from '../../../src/ledger/drivers/driver.ts';
import { initDynamoDbLedger } from '../../../src/ledger/drivers/dynamodb/init.ts';
import { inspectDynamoDbLedger } from '../../../src/ledger/drivers/dynamodb/inspect.ts';
import { openDynamoDbLedger, openShard } from '../../../src/ledger/drivers/dynamodb/open.ts';
import { decodeRow, type Row } from '../../../src/ledger/drivers/dynamodb/row.ts';
import type { DynamoDbLedgerConfig } from '../../../src/ledger/drivers/dynamodb.ts';
import type { Minter } from '../../../src/ledger/records/writer.ts';
import { verifyLog } from '../../../src/ledger/verify/verify.ts';
import { fromBase64 } from '../../../src/lib/bytes.ts';
import type { Platform } from '../../../src/lib/platform.ts';
import type { FakeDynamoDb } from '../../fakes/dynamodb.ts';
import { random, writer } from '../fixtures.ts';

export interface DynamoGiven {
  readonly now?: () => number;
  readonly checkpointKey?: Uint8Array;
  readonly origin?: string;
  readonly minter?: Minter;
  readonly fetch?: Platform['fetch'];
  readonly shards?: number;
}

/** As a platform hands them out; any DynamoDB that is not Amazon's own takes them. */
const env = {
  AWS_ACCESS_KEY_ID: 'ASIAOFTHEPLATFORM00',
  AWS_SECRET_ACCESS_KEY: 'not-a-secret',
  AWS_SESSION_TOKEN: 'not-a-token',
};

/** A table of its own for each test, at one endpoint. */
let tables = 0;
export const newTable = (): string => `hallpass-${process.pid}-${++tables}`;

export const configOf = (endpoint: string, table: string, { shards }: DynamoGiven = {}): DynamoDbLedgerConfig => ({
  kind: 'dynamodb',
  table,
  region: 'eu-west-1',
  endpoint,
  ...(shards !== undefined && { shards }),
});

export function depsOf(given: DynamoGiven = {}): LedgerDriverDeps & InspectDeps {
  const {
    now = Date.now,
    checkpointKey = new Uint8Array(32).fill(7),
    origin = 'pass.example.com/ledger',
    minter,
    fetch: ask = fetch,
  } = given;
  const platform: Platform = {
    runtime: 'node',
    now,
    random,
    fetch: (url, init) => ask(url, init),
    log: () => {},
    env,
    instance: 'test',
  };
  const secrets = { checkpointKey, minter, keys: { assertions: [] } };
  return { platform, origin, writer, secrets, read: () => Promise.reject(new Error('no stores')) };
}

export const initIn = (endpoint: string, table: string, given: DynamoGiven = {}) =>
  initDynamoDbLedger(configOf(endpoint, table, given), depsOf(given));

/** One log, whatever the config says of shards. */
export const openIn = (endpoint: string, table: string, given: DynamoGiven = {}) =>
  openShard(configOf(endpoint, table, given), depsOf(given), undefined);

export const openWhole = (endpoint: string, table: string, given: DynamoGiven = {}) =>
  openDynamoDbLedger(configOf(endpoint, table, given), depsOf(given));

export async function findings(endpoint: string, table: string, shard?: number) {
  const deps = { ...depsOf(), ...(shard !== undefined && { shard }) };
  const { source, close } = await inspectDynamoDbLedger(configOf(endpoint, table), deps);
  const report = await verifyLog(source, { needIntent: new Set(['postgres']) });
  await close();
  return report.findings;
}

/** What lies in a table of the fake. */
export const rowsOf = (dynamo: FakeDynamoDb, table: string): readonly Row[] =>
  dynamo.items(table).map((item) => decodeRow(withBytes(item) as Parameters<typeof decodeRow>[0]));

/** As the SDK gives them. */
function withBytes(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withBytes);
  if ('B' in value) return { B: fromBase64(String(value.B)) };
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withBytes(inner)]));
}
