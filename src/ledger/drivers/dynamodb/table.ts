import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  DynamoDBClient,
  GetItemCommand,
  QueryCommand,
  type QueryCommandInput,
  TransactWriteItemsCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { toHex } from '../../../lib/bytes.ts';
import { type Deadline, deadlineIn } from '../../../lib/deadline.ts';
import type { Platform } from '../../../lib/platform.ts';
import { UpstreamError } from '../../../lib/upstream.ts';
import { type AwsService, openAwsService } from '../../../sessions/aws/service.ts';
import type { SessionDeps } from '../../../sessions/session.ts';
import { StoreFault, TooMuch } from '../../log-store.ts';
import type { DynamoDbLedgerConfig } from '../dynamodb.ts';
import { faultFor, mayPass } from './faults.ts';
import { queryOf, type Range, transactItem, updateOf, type Write } from './requests.ts';
import { decodeRow, encodeRow, type Key, type Row } from './row.ts';

/** The one table, its requests bounded in time. All reads see what was written before. Rejects with StoreFault. */
export interface Table {
  get(key: Key, deadline?: Deadline): Promise<Row | undefined>;
  /** Those that exist, in no order. */
  getAll(keys: readonly Key[], deadline?: Deadline): Promise<readonly Row[]>;
  query(pk: string, range?: Range, deadline?: Deadline): Promise<readonly Row[]>;
  /** All or nothing; rejects also with TooMuch, and with HeadMoved where a condition did not hold or others were faster. */
  transact(writes: readonly Write[], deadline: Deadline): Promise<void>;
  /** One by one, in no order and without condition. */
  writeAll(writes: readonly ({ readonly put: Row } | { readonly remove: Key })[], deadline: Deadline): Promise<void>;
  /** One item, whatever it is. */
  update(write: Extract<Write, { update: Key }>, deadline: Deadline): Promise<void>;
}

/** Most writes of one transaction. */
const mostWrites = 100;
const keysAtOnce = 100;
const writesAtOnce = 25;
const requestsAtOnce = 8;
/** For a request without a deadline of its own, milliseconds. */
const usualMs = 2_000;
/** A BatchGetItem answers with 16 MB at most, in JSON. */
const answerBytes = 32 * 1024 * 1024;
const attempts = 3;

export type Dynamo = AwsService<DynamoDBClient>;

/** Table and credentials as the config and the platform say; no request before the first call. */
export const openDynamo = ({ region, endpoint }: DynamoDbLedgerConfig, platform: SessionDeps): Dynamo =>
  openAwsService('dynamodb', { region, endpoint, answerBytes }, platform, (settings) => {
    const quiet = { accountIdEndpointMode: 'disabled', endpointDiscoveryEnabledProvider: async () => false } as const;
    const client = new DynamoDBClient({ ...settings, ...quiet });
    // It makes every answer fit for a log that nobody keeps, at the cost of all the rest of a request.
    client.middlewareStack.remove('loggerMiddleware');
    return client;
  });

export function openTable(dynamo: Dynamo, name: string, { now, random }: Pick<Platform, 'now' | 'random'>): Table {
  const usual = (): Deadline => deadlineIn(usualMs, now);

  /** Doubling, with jitter: those who were refused together do not come again together. */
  const pause = (attempt: number, deadline: Deadline): Promise<void> => {
    const wait = 10 * 2 ** attempt * ((random(1)[0] as number) / 256);
    return new Promise((resolve) => setTimeout(resolve, Math.min(wait, deadline.left())));
  };

  /** A request that changes nothing, or nothing more when it comes twice: again where nobody knows whether it arrived. */
  async function ask<T>(step: string, deadline: Deadline, send: Parameters<typeof dynamo.ask<T>>[2]): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const last = attempt === attempts;
      try {
        return await dynamo.ask(step, last ? deadline : deadline.within(deadline.left() / 2), send);
      } catch (error) {
        if (last || deadline.left() === 0 || !mayPass(error)) throw faultFor(error);
        if (!(error instanceof UpstreamError && error.fault === 'slow')) await pause(attempt, deadline);
      }
    }
  }

  async function getSome(keys: readonly Key[], deadline: Deadline): Promise<Row[]> {
    const found: Row[] = [];
    let left: Record<string, unknown>[] = keys.map(({ pk, sk }) => encodeRow({ pk, sk }));
    for (let attempt = 0; left.length > 0; attempt++) {
      if (attempt > 0) await pause(attempt, deadline);
      if (deadline.left() === 0) throw new StoreFault('throttled');
      const asked = { [name]: { Keys: left as never, ConsistentRead: true } };
      const answer = await ask('read', deadline, (client, options) =>
        client.send(new BatchGetItemCommand({ RequestItems: asked }), options),
      );
      for (const item of answer.Responses?.[name] ?? []) found.push(decodeRow(item));
      left = answer.UnprocessedKeys?.[name]?.Keys ?? [];
    }
    return found;
  }

  async function writeSome(requests: readonly object[], deadline: Deadline): Promise<void> {
    let left = requests;
    for (let attempt = 0; left.length > 0; attempt++) {
      if (attempt > 0) await pause(attempt, deadline);
      if (deadline.left() === 0) throw new StoreFault('throttled');
      const asked = { [name]: left as never };
      const answer = await ask('write', deadline, (client, options) =>
        client.send(new BatchWriteItemCommand({ RequestItems: asked }), options),
      );
      left = answer.UnprocessedItems?.[name] ?? [];
    }
  }

  return {
    async get({ pk, sk }, deadline = usual()) {
      const command = new GetItemCommand({ TableName: name, Key: encodeRow({ pk, sk }), ConsistentRead: true });
      const { Item } = await ask('read', deadline, (client, options) => client.send(command, options));
      return Item === undefined ? undefined : decodeRow(Item);
    },
    async getAll(keys, deadline = usual()) {
      const once = [...new Map(keys.map((key) => [`${key.pk} ${key.sk}`, key])).values()];
      const parts = await inParts(once, keysAtOnce, (some) => getSome(some, deadline));
      return parts.flat();
    },
    async query(pk, range = {}, deadline = usual()) {
      const input = queryOf(name, pk, range);
      const found: Row[] = [];
      const { limit = Number.POSITIVE_INFINITY } = range;
      for (let start: QueryCommandInput['ExclusiveStartKey']; ; ) {
        const command = new QueryCommand({ ...input, ExclusiveStartKey: start });
        const page = await ask('read', deadline, (client, options) => client.send(command, options));
        for (const item of page.Items ?? []) if (found.length < limit) found.push(decodeRow(item));
        start = page.LastEvaluatedKey;
        if (start === undefined || found.length >= limit) return found;
      }
    },
    async transact(writes, deadline) {
      if (writes.length > mostWrites) throw new TooMuch();
      const TransactItems = writes.map((write) => transactItem(name, write));
      // The same token each time: whichever of the requests lands, it is one transaction.
      const input = { TransactItems, ClientRequestToken: toHex(random(16)) };
      await ask('write', deadline, (client, options) => client.send(new TransactWriteItemsCommand(input), options));
    },
    async writeAll(writes, deadline) {
      const requests = writes.map((write) =>
        'put' in write
          ? { PutRequest: { Item: encodeRow(write.put) } }
          : { DeleteRequest: { Key: encodeRow({ ...write.remove }) } },
      );
      await inParts(requests, writesAtOnce, (some) => writeSome(some, deadline));
    },
    async update(write, deadline) {
      const command = new UpdateItemCommand(updateOf(name, write));
      await ask('write', deadline, (client, options) => client.send(command, options));
    },
  };
}

/** Runs `work` over parts of a list, a few at once. */
export async function inParts<T, R>(
  all: readonly T[],
  size: number,
  work: (part: readonly T[]) => Promise<R>,
  atOnce = requestsAtOnce,
): Promise<R[]> {
  const parts = Array.from({ length: Math.ceil(all.length / size) }, (_, at) => all.slice(at * size, (at + 1) * size));
  const done: R[] = [];
  for (let at = 0; at < parts.length; at += atOnce)
    done.push(...(await Promise.all(parts.slice(at, at + atOnce).map(work))));
  return done;
}
