import { afterAll, beforeAll } from 'vitest';
import { logKeys } from '../../../src/ledger/drivers/dynamodb/keys.ts';
import { dynamoQueryIndex } from '../../../src/ledger/drivers/dynamodb/query-index.ts';
import { openDynamo, openTable } from '../../../src/ledger/drivers/dynamodb/table.ts';
import { queryIndexContract } from '../../contracts/query-index.ts';
import { type FakeDynamoDb, startDynamoDb } from '../../fakes/dynamodb.ts';
import { configOf, depsOf, initIn, newTable } from './dynamodb-fixture.ts';

let dynamo: FakeDynamoDb;
beforeAll(async () => {
  dynamo = await startDynamoDb();
});
afterAll(() => dynamo.close());

queryIndexContract('dynamodb', async () => {
  const config = configOf(dynamo.url, newTable());
  const { platform } = depsOf();
  await initIn(dynamo.url, config.table);
  const table = openTable(openDynamo(config, platform), config.table, platform);
  return { index: dynamoQueryIndex(table, logKeys(undefined)), end: async () => {} };
});
