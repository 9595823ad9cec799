import { Refused } from './aws-secrets.ts';
import { type Attribute, checkUsed, type Given, holds, type Item, updated } from './dynamodb-expressions.ts';
import { type FakeAnswer, type FakeCall, type FakeServer, startFake } from './server.ts';

export interface FakeDynamoDb {
  readonly url: string;
  readonly server: FakeServer;
  /** Its own clock, milliseconds since the epoch. */
  now: () => number;
  /** Units used and requests taken since the last `reset`, as on-demand tables are billed. */
  readonly used: { write: number; read: number; readonly requests: Record<string, number>; reset(): void };
  /** All items of a table, in no order. */
  items(table: string): readonly Item[];
  /** Answers a call as it does by itself. */
  answer(call: FakeCall): FakeAnswer;
  close(): Promise<void>;
}

/** What the operations are given, each some of it. */
interface Input {
  readonly TableName: string;
  readonly Key?: Item;
  readonly Item?: Item;
  readonly ConsistentRead?: boolean;
  readonly ConditionExpression?: string;
  readonly UpdateExpression?: string;
  readonly KeyConditionExpression?: string;
  readonly FilterExpression?: string;
  readonly ProjectionExpression?: string;
  readonly ExpressionAttributeNames?: Given['names'];
  readonly ExpressionAttributeValues?: Given['values'];
  readonly ScanIndexForward?: boolean;
  readonly Limit?: number;
  readonly ExclusiveStartKey?: Item;
  readonly DeletionProtectionEnabled?: boolean;
  readonly ClientRequestToken?: string;
  readonly TransactItems?: readonly Readonly<Partial<Record<Write, Input>>>[];
}

interface BatchRead {
  readonly Keys: readonly Item[];
  readonly ConsistentRead?: boolean;
}

interface BatchWrite {
  readonly PutRequest?: { readonly Item: Item };
  readonly DeleteRequest?: { readonly Key: Item };
}

/** Of the one table that a batch is about. */
function only<T>({ RequestItems }: { readonly RequestItems?: Readonly<Record<string, T>> }): [string, T] {
  const [one, ...others] = Object.entries(RequestItems ?? {});
  if (one === undefined || others.length > 0) throw invalid('one table');
  return one;
}

const keyOf = ({ Key, Item }: Input): Item => Key ?? Item ?? {};
type Write = 'Put' | 'Update' | 'Delete' | 'ConditionCheck';

interface Table {
  readonly partitions: Map<string, Map<string, Item>>;
  protected: boolean;
  recoverable: boolean;
}

/** A transaction that wrote nothing, and why: one code for each of its items. */
class Cancelled extends Refused {
  constructor(readonly codes: readonly string[]) {
    super('TransactionCanceledException', `canary: cancelled [${codes.join(', ')}]`);
  }
}

const kilobyte = 1024;
const limits = {
  item: 400 * kilobyte,
  transaction: 4 * kilobyte * kilobyte,
  writes: 100,
  batchReads: 100,
  batchWrites: 25,
  batchAnswer: 16 * kilobyte * kilobyte,
  page: kilobyte * kilobyte,
  keys: { pk: 2048, sk: 1024 },
  tokenMs: 600_000,
} as const;

const invalid = (message: string): Refused => new Refused('ValidationException', `canary: ${message}`);

/** As DynamoDB counts it: names and values, with little around them. */
function sizeOf(item: Item): number {
  return Object.entries(item).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + valueSize(value), 0);
}

function valueSize(value: Attribute): number {
  const [[type, held] = ['', '']] = Object.entries(value);
  if (type === 'S') return Buffer.byteLength(held as string);
  if (type === 'B') return Buffer.from(held as string, 'base64').length;
  if (type === 'N') return Math.ceil(String(held).length / 2) + 1;
  if (type === 'SS') return (held as string[]).reduce((sum, text) => sum + Buffer.byteLength(text), 3);
  if (type === 'L') return (held as Attribute[]).reduce((sum, one) => sum + valueSize(one) + 1, 3);
  return sizeOf(held as Item) + 3;
}

const keyIn = (item: Item): readonly [string, string] => {
  const [pk, sk] = [item.pk?.S, item.sk?.S];
  if (typeof pk !== 'string' || typeof sk !== 'string' || pk === '' || sk === '') throw invalid('no key');
  if (Buffer.byteLength(pk) > limits.keys.pk || Buffer.byteLength(sk) > limits.keys.sk) throw invalid('key too long');
  return [pk, sk];
};

const givenIn = ({ ExpressionAttributeNames: names = {}, ExpressionAttributeValues: values = {} }: Input): Given => ({
  names,
  values,
});

/** The operations of DynamoDB that a ledger uses, on tables whose keys are the strings `pk` and `sk`; limits as documented. */
export async function startDynamoDb(): Promise<FakeDynamoDb> {
  const tables = new Map<string, Table>();
  const tokens = new Map<string, { readonly body: string; readonly until: number }>();
  const used = {
    write: 0,
    read: 0,
    requests: {} as Record<string, number>,
    reset() {
      Object.assign(used, { write: 0, read: 0, requests: {} });
    },
  };
  const now = (): number => fake.now();

  const tableOf = ({ TableName }: Input): Table => {
    const table = tables.get(TableName);
    if (table === undefined) throw new Refused('ResourceNotFoundException', 'canary: no such table');
    return table;
  };
  const itemAt = (table: Table, key: Item): Item | undefined => {
    const [pk, sk] = keyIn(key);
    return table.partitions.get(pk)?.get(sk);
  };

  function store(table: Table, key: Item, item: Item | undefined): void {
    const [pk, sk] = keyIn(key);
    const partition = table.partitions.get(pk) ?? new Map<string, Item>();
    table.partitions.set(pk, partition);
    if (item === undefined) partition.delete(sk);
    else partition.set(sk, item);
  }

  /** The item as it will be, undefined for none. @throws Refused */
  function after(kind: Write, input: Input, was: Item | undefined): Item | undefined {
    const given = givenIn(input);
    const { UpdateExpression: update, ConditionExpression: condition } = input;
    checkUsed([update, condition], given);
    if (kind === 'ConditionCheck' && condition === undefined) throw invalid('a check without a condition');
    if (!holds(condition, given, was)) throw new Refused('ConditionalCheckFailedException');
    if (kind === 'Delete') return undefined;
    if (kind === 'ConditionCheck') return was;
    const item = kind === 'Put' ? keyOf(input) : updated(update ?? '', given, was ?? keyOf(input));
    keyIn(item);
    if (sizeOf(item) > limits.item) throw invalid('Item size has exceeded the maximum allowed size');
    return item;
  }

  const writeUnits = (...items: readonly (Item | undefined)[]): number =>
    Math.max(1, ...items.map((item) => Math.ceil((item === undefined ? 0 : sizeOf(item)) / kilobyte)));
  const readUnits = (bytes: number, consistent: boolean): number =>
    Math.max(1, Math.ceil(bytes / (4 * kilobyte))) * (consistent ? 1 : 0.5);

  function write(kind: Write, input: Input): object {
    const table = tableOf(input);
    const key = keyOf(input);
    const was = itemAt(table, key);
    const item = after(kind, input, was);
    store(table, key, item);
    used.write += writeUnits(was, item);
    return {};
  }

  function transact(input: Input): object {
    const { TransactItems: writes = [], ClientRequestToken: token } = input;
    const body = JSON.stringify(writes);
    const before = token === undefined ? undefined : tokens.get(token);
    if (before !== undefined && before.until > now()) {
      if (before.body !== body) throw new Refused('IdempotentParameterMismatchException');
      return {};
    }
    if (writes.length === 0 || writes.length > limits.writes) throw invalid('1 to 100 items');
    const planned = writes.map((one) => {
      const [[kind, given] = [undefined, undefined]] = Object.entries(one) as [Write, Input][];
      if (kind === undefined || given === undefined) throw invalid('no write');
      const table = tableOf(given);
      const key = keyOf(given);
      return { kind, given, table, key, was: itemAt(table, key) };
    });
    if (new Set(planned.map(({ key }) => keyIn(key).join('\n'))).size < planned.length)
      throw invalid('Transaction request cannot include multiple operations on one item');
    const outcomes = planned.map(({ kind, given, was }) => {
      try {
        return { item: after(kind, given, was), code: 'None' };
      } catch (error) {
        if (error instanceof Refused && error.code === 'ConditionalCheckFailedException')
          return { item: undefined, code: 'ConditionalCheckFailed' };
        throw error;
      }
    });
    if (outcomes.some(({ code }) => code !== 'None')) throw new Cancelled(outcomes.map(({ code }) => code));
    const bytes = outcomes.reduce((sum, { item }) => sum + (item === undefined ? 0 : sizeOf(item)), 0);
    if (bytes > limits.transaction) throw invalid('Collection size of items exceeded');
    for (const [at, { kind, table, key, was }] of planned.entries()) {
      const item = outcomes[at]?.item;
      if (kind !== 'ConditionCheck') store(table, key, item);
      used.write += 2 * writeUnits(was, item);
    }
    if (token !== undefined) tokens.set(token, { body, until: now() + limits.tokenMs });
    return {};
  }

  function query(input: Input): object {
    const table = tableOf(input);
    const given = givenIn(input);
    const { KeyConditionExpression: where, FilterExpression: filter, ProjectionExpression: shown } = input;
    checkUsed([where, filter, shown], given);
    const pk = String(given.values[':pk']?.S);
    const forward = input.ScanIndexForward !== false;
    const sorted = [...(table.partitions.get(pk) ?? [])].sort(
      ([one], [other]) => Buffer.compare(Buffer.from(one), Buffer.from(other)) * (forward ? 1 : -1),
    );
    const start = input.ExclusiveStartKey?.sk?.S;
    const begun = start === undefined ? 0 : sorted.findIndex(([sk]) => (forward ? sk > `${start}` : sk < `${start}`));
    const items: Item[] = [];
    let bytes = 0;
    let read = 0;
    let last: Item | undefined;
    for (const [, item] of begun < 0 ? [] : sorted.slice(begun)) {
      if (!holds(where, given, item)) continue;
      bytes += sizeOf(item);
      read++;
      if (holds(filter, given, item)) items.push(item);
      // Whether anything follows is not said: a page that is full ends in a key.
      if (bytes > limits.page || read === input.Limit) {
        last = item;
        break;
      }
    }
    used.read += readUnits(bytes, input.ConsistentRead === true);
    const names = shown === undefined ? undefined : shown.split(',').map((one) => given.names[one] ?? one);
    const projected = items.map((item) =>
      names === undefined ? item : Object.fromEntries(Object.entries(item).filter(([name]) => names.includes(name))),
    );
    return { Items: projected, Count: items.length, ...(last && { LastEvaluatedKey: { pk: last.pk, sk: last.sk } }) };
  }

  function batchGet(input: object): object {
    const [TableName, { Keys, ConsistentRead }] = only<BatchRead>(input);
    const table = tableOf({ TableName });
    if (Keys.length === 0 || Keys.length > limits.batchReads) throw invalid('1 to 100 keys');
    if (new Set(Keys.map((key) => keyIn(key).join('\n'))).size < Keys.length) throw invalid('duplicates');
    const found: Item[] = [];
    let bytes = 0;
    for (const [at, key] of Keys.entries()) {
      const item = itemAt(table, key);
      const size = item === undefined ? 0 : sizeOf(item);
      if (bytes + size > limits.batchAnswer)
        return { Responses: { [TableName]: found }, UnprocessedKeys: { [TableName]: { Keys: Keys.slice(at) } } };
      bytes += size;
      used.read += readUnits(size, ConsistentRead === true);
      if (item !== undefined) found.push(item);
    }
    return { Responses: { [TableName]: found }, UnprocessedKeys: {} };
  }

  function batchWrite(input: object): object {
    const [TableName, writes] = only<readonly BatchWrite[]>(input);
    if (writes.length === 0 || writes.length > limits.batchWrites) throw invalid('1 to 25 writes');
    const keys = writes.map(({ PutRequest, DeleteRequest }) => keyIn(PutRequest?.Item ?? DeleteRequest?.Key ?? {}));
    if (new Set(keys.map((key) => key.join('\n'))).size < keys.length) throw invalid('duplicates');
    for (const { PutRequest, DeleteRequest } of writes)
      write(PutRequest === undefined ? 'Delete' : 'Put', { TableName, ...PutRequest, ...DeleteRequest });
    return { UnprocessedItems: {} };
  }

  const backups = (table: Table) => ({
    ContinuousBackupsDescription: {
      ContinuousBackupsStatus: 'ENABLED',
      PointInTimeRecoveryDescription: { PointInTimeRecoveryStatus: table.recoverable ? 'ENABLED' : 'DISABLED' },
    },
  });

  const describe = (TableName: string, { protected: DeletionProtectionEnabled }: Table) => ({
    TableName,
    TableStatus: 'ACTIVE',
    DeletionProtectionEnabled,
    KeySchema: ['pk', 'sk'].map((AttributeName, at) => ({ AttributeName, KeyType: at === 0 ? 'HASH' : 'RANGE' })),
    AttributeDefinitions: ['pk', 'sk'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
  });

  const actions: Readonly<Record<string, (input: Input) => object>> = {
    CreateTable({ TableName, DeletionProtectionEnabled }) {
      if (tables.has(TableName)) throw new Refused('ResourceInUseException');
      const table = { partitions: new Map(), protected: DeletionProtectionEnabled === true, recoverable: false };
      tables.set(TableName, table);
      return { TableDescription: { ...describe(TableName, table), TableStatus: 'CREATING' } };
    },
    DescribeTable: (input) => ({ Table: describe(input.TableName, tableOf(input)) }),
    DescribeContinuousBackups: (input) => backups(tableOf(input)),
    UpdateContinuousBackups(input) {
      const table = tableOf(input);
      table.recoverable = true;
      return backups(table);
    },
    GetItem(input) {
      const item = itemAt(tableOf(input), keyOf(input));
      used.read += readUnits(item === undefined ? 0 : sizeOf(item), input.ConsistentRead === true);
      return item === undefined ? {} : { Item: item };
    },
    UpdateItem: (input) => write('Update', input),
    TransactWriteItems: transact,
    Query: query,
    BatchGetItem: batchGet,
    BatchWriteItem: batchWrite,
  };

  function answer(call: FakeCall): FakeAnswer {
    const [, name = ''] = String(call.headers['x-amz-target']).split('.');
    used.requests[name] = (used.requests[name] ?? 0) + 1;
    try {
      if (!/^AWS4-HMAC-SHA256 .*\/dynamodb\/aws4_request,/.test(call.headers.authorization ?? ''))
        throw new Refused('MissingAuthenticationTokenException');
      const action = actions[name];
      if (action === undefined) throw new Refused('UnknownOperationException');
      return json(200, action(JSON.parse(call.body)));
    } catch (error) {
      if (error instanceof Refused) return refuse(error);
      throw error;
    }
  }

  const server = await startFake(answer);
  const fake: FakeDynamoDb = {
    url: server.url,
    server,
    now: Date.now,
    used,
    items: (table) =>
      [...(tables.get(table)?.partitions.values() ?? [])].flatMap((partition) => [...partition.values()]),
    answer,
    close: () => server.close(),
  };
  return fake;
}

/** Which operation a call asks for. */
export const operationOf = ({ headers }: FakeCall): string => String(headers['x-amz-target']).split('.')[1] ?? '';

/** A refusal as DynamoDB words it. */
export const refuse = (error: Refused): FakeAnswer =>
  json(error.status, {
    __type: `com.amazonaws.dynamodb.v20120810#${error.code}`,
    message: error.message,
    ...(error instanceof Cancelled && { CancellationReasons: error.codes.map((Code) => ({ Code })) }),
  });

/** A transaction cancelled for this, all else in it being well. */
export const cancelled = (...codes: string[]): FakeAnswer =>
  refuse(new Cancelled(codes.length === 1 ? ['None', ...codes] : codes));

const json = (status: number, body: object): FakeAnswer => ({
  status,
  headers: { 'content-type': 'application/x-amz-json-1.0' },
  body: JSON.stringify(body),
});
