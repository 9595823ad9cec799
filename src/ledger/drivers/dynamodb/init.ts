import {
  CreateTableCommand,
  DescribeContinuousBackupsCommand,
  DescribeTableCommand,
  type TableDescription,
  UpdateContinuousBackupsCommand,
} from '@aws-sdk/client-dynamodb';
import { type Deadline, deadlineIn } from '../../../lib/deadline.ts';
import { UpstreamError } from '../../../lib/upstream.ts';
import { shardOrigin } from '../../log-name.ts';
import { HeadMoved } from '../../log-store.ts';
import { countText } from '../../shards/shards.ts';
import { emptyRoot } from '../../tree/merkle.ts';
import { noteSigner } from '../../tree/note.ts';
import type { LedgerDriverDeps } from '../driver.ts';
import type { DynamoDbLedgerConfig } from '../dynamodb.ts';
import { whyOther } from '../foreign-log.ts';
import { logKeys } from './keys.ts';
import { checkSchema } from './open.ts';
import { absent } from './requests.ts';
import { type Key, textOf } from './row.ts';
import { type Dynamo, openDynamo, openTable, type Table } from './table.ts';
import { firstHead } from './writes.ts';

/** AWS makes a table in about ten seconds. */
const makeMs = 45_000;
const pollMs = 500;

const emptyHead = {
  generation: 1,
  base: 0,
  ended: [],
  size: 0,
  range: [],
  root: emptyRoot,
  epoch: 0,
  checkpoint: '',
};

/** Makes the table, unless it is there, and in it the head of each log. @throws Error that says what cannot be */
export async function initDynamoDbLedger(
  config: DynamoDbLedgerConfig,
  { platform, origin, secrets }: LedgerDriverDeps,
): Promise<'made' | 'upgraded' | 'there'> {
  if (secrets === undefined) throw new Error('a dynamodb ledger needs a checkpoint key');
  const dynamo = openDynamo(config, platform);
  const deadline = deadlineIn(makeMs, platform.now);
  await makeTable(dynamo, config.table, deadline);
  const protectedNow = await protect(dynamo, config.table, deadline);
  const table = openTable(dynamo, config.table, platform);
  const { shards: count = 1 } = config;
  await checkCount(table, count, config.table, deadline);
  let made = false;
  for (let shard = 0; shard < count; shard++) {
    const log = count === 1 ? origin : shardOrigin(origin, shard);
    const { vkey } = noteSigner(log, secrets.checkpointKey);
    if (await makeHead(table, count === 1 ? undefined : shard, vkey, config.table, deadline)) made = true;
  }
  return made ? 'made' : protectedNow ? 'upgraded' : 'there';
}

async function makeTable(dynamo: Dynamo, TableName: string, deadline: Deadline): Promise<void> {
  const there = await describe(dynamo, TableName, deadline);
  if (there === undefined)
    await ask(dynamo, deadline, (client, options) =>
      client.send(
        new CreateTableCommand({
          TableName,
          KeySchema: [
            { AttributeName: 'pk', KeyType: 'HASH' },
            { AttributeName: 'sk', KeyType: 'RANGE' },
          ],
          AttributeDefinitions: [
            { AttributeName: 'pk', AttributeType: 'S' },
            { AttributeName: 'sk', AttributeType: 'S' },
          ],
          BillingMode: 'PAY_PER_REQUEST',
          DeletionProtectionEnabled: true,
        }),
        options,
      ),
    ).catch(unlessCode(/^ResourceInUse/));
  for (;;) {
    const table = await describe(dynamo, TableName, deadline);
    if (table?.TableStatus === 'ACTIVE' || table?.TableStatus === 'UPDATING') return checkKeys(table);
    if (deadline.left() < pollMs) throw new Error(`the table ${TableName} is not ready yet: run it again`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

function checkKeys({ TableName, KeySchema = [], AttributeDefinitions = [] }: TableDescription): void {
  const keys = KeySchema.map(({ AttributeName, KeyType }) => `${KeyType} ${AttributeName}`).join();
  const texts = AttributeDefinitions.filter(({ AttributeName = '' }) => ['pk', 'sk'].includes(AttributeName));
  if (keys !== 'HASH pk,RANGE sk' || texts.some(({ AttributeType }) => AttributeType !== 'S'))
    throw new Error(`the table ${TableName} is not one of Hallpass's: its keys must be the strings pk and sk`);
}

/** Point-in-time recovery, where the service has it. True: it was switched on just now. */
async function protect(dynamo: Dynamo, TableName: string, deadline: Deadline): Promise<boolean> {
  const unknown = unlessCode(/^(UnknownOperation|InvalidAction|AccessDenied|NotImplemented)/);
  const { ContinuousBackupsDescription: backups } =
    (await ask(dynamo, deadline, (client, options) =>
      client.send(new DescribeContinuousBackupsCommand({ TableName }), options),
    ).catch(unknown)) ?? {};
  const status = backups?.PointInTimeRecoveryDescription?.PointInTimeRecoveryStatus;
  if (backups === undefined || status === 'ENABLED') return false;
  const specification = { PointInTimeRecoveryEnabled: true };
  const command = new UpdateContinuousBackupsCommand({ TableName, PointInTimeRecoverySpecification: specification });
  // Of a table that was made a moment ago AWS says that backups are being enabled.
  const done = await ask(dynamo, deadline, (client, options) => client.send(command, options)).catch(
    unlessCode(/^(ContinuousBackupsUnavailable|UnknownOperation|InvalidAction|AccessDenied|NotImplemented)/),
  );
  return done !== undefined;
}

/** With another number, what was spent in one log would be looked for in another. @throws Error where it has another */
async function checkCount(table: Table, count: number, name: string, deadline: Deadline): Promise<void> {
  const [whole, first] = [logKeys(undefined), logKeys(0)];
  const rows = await table.getAll([whole.head, first.head, first.text(countText), logKeys(count).head], deadline);
  const there = (key: Key) => rows.find(({ pk, sk }) => pk === key.pk && sk === key.sk);
  const made = there(whole.head) === undefined ? textOf(there(first.text(countText))?.x) : '1';
  const wrong = count === 1 ? there(first.head) !== undefined : there(logKeys(count).head) !== undefined;
  if (wrong || (made !== '' && made !== String(count)))
    throw new Error(
      `the table ${name} has a ledger of ${made || 'other'} shards, and keeps them: ledger.shards says ${count}`,
    );
}

/** True where it was not there. @throws Error where another log is there */
async function makeHead(
  table: Table,
  shard: number | undefined,
  vkey: string,
  name: string,
  deadline: Deadline,
): Promise<boolean> {
  const keys = logKeys(shard);
  const put = { put: firstHead(emptyHead, vkey, keys), when: absent };
  let there = await table.get(keys.head, deadline);
  if (there === undefined) {
    try {
      await table.transact([put], deadline);
      return true;
    } catch (error) {
      // Another process made it meanwhile.
      if (!(error instanceof HeadMoved)) throw error;
      there = await table.get(keys.head, deadline);
      if (there === undefined) throw error;
    }
  }
  checkSchema(there, name);
  const made = textOf(there.vkey);
  if (made !== vkey)
    throw new Error(
      `the table ${name} has the log of ${made.split('+', 1)[0]} under another origin or key: ${whyOther(made, vkey)}`,
    );
  return false;
}

const describe = async (dynamo: Dynamo, TableName: string, deadline: Deadline) =>
  (
    await ask(dynamo, deadline, (client, options) =>
      client.send(new DescribeTableCommand({ TableName }), options),
    ).catch(unlessCode(/^ResourceNotFound/))
  )?.Table;

const ask = <T>(dynamo: Dynamo, deadline: Deadline, send: Parameters<typeof dynamo.ask<T>>[2]): Promise<T> =>
  dynamo.ask('init', deadline.within(10_000), send).catch((error) => {
    throw error;
  });

const unlessCode =
  (code: RegExp) =>
  (error: unknown): undefined => {
    if (error instanceof UpstreamError && code.test(error.facts.code ?? '')) return undefined;
    throw error;
  };
