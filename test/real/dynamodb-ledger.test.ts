import { afterAll, beforeAll, describe } from 'vitest';
import { ledgerContract } from '../contracts/ledger.ts';
import { initIn, newTable, openIn } from '../ledger/drivers/dynamodb-fixture.ts';
import { lacks, type RealServer, startReal } from '../real-servers/start.ts';

const lacking = lacks('dynamodb');

describe.skipIf(lacking !== undefined)(`DynamoDB Local ${lacking ?? ''}`, () => {
  let server: RealServer;
  beforeAll(async () => {
    server = await startReal('dynamodb');
  }, 90_000);
  afterAll(() => server?.stop());

  ledgerContract('dynamodb', async (given) => {
    const table = newTable();
    await initIn(server.url, table, given);
    let ledger = await openIn(server.url, table, given);
    return {
      ledger,
      async restart() {
        await ledger.close();
        ledger = await openIn(server.url, table, given);
        return ledger;
      },
      end: () => ledger.close(),
    };
  });
});
