import { afterAll, beforeAll } from 'vitest';
import { ledgerContract } from '../../contracts/ledger.ts';
import { type FakeDynamoDb, startDynamoDb } from '../../fakes/dynamodb.ts';
import { initIn, newTable, openIn } from './dynamodb-fixture.ts';

let dynamo: FakeDynamoDb;
beforeAll(async () => {
  dynamo = await startDynamoDb();
});
afterAll(() => dynamo.close());

ledgerContract('dynamodb', async (given) => {
  const table = newTable();
  await initIn(dynamo.url, table, given);
  let ledger = await openIn(dynamo.url, table, given);
  return {
    ledger,
    async restart() {
      await ledger.close();
      ledger = await openIn(dynamo.url, table, given);
      return ledger;
    },
    end: () => ledger.close(),
  };
});
