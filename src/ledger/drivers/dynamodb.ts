import type { PlugIn } from '../../lib/catalog.ts';
import * as s from '../../lib/schema/index.ts';
import { originSchema, regionSchema } from '../../sessions/aws/region.ts';
import type { LedgerDriverModule } from './driver.ts';
import { logMembers, shardMembers } from './log-members.ts';

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('dynamodb'),
    table: s.string().check(s.regex(/^[\w.-]{3,255}$/, 'expected 3 to 255 of A-Za-z0-9_.-')),
    region: regionSchema,
    endpoint: s.optional(originSchema),
    ...shardMembers,
    ...logMembers,
  }),
);

export type DynamoDbLedgerConfig = s.infer<typeof schema>;

/** A log in one table of Amazon DynamoDB, which every broker writes for itself. */
export const dynamodbLedger: PlugIn<LedgerDriverModule, 'dynamodb'> = {
  name: 'dynamodb',
  about: 'One table of Amazon DynamoDB, written by every broker itself',
  schema,
  runtimes: ['node', 'lambda'],
  never: {
    members: ['accesskeyid', 'secretaccesskey', 'accesskey', 'secretkey', 'sessiontoken', 'credentials', 'profile'],
    instead: 'log in as what the platform runs Hallpass as',
  },
  load: async () => {
    const [{ openDynamoDbLedger }, { inspectDynamoDbLedger }, { initDynamoDbLedger }] = await Promise.all([
      import('./dynamodb/open.ts'),
      import('./dynamodb/inspect.ts'),
      import('./dynamodb/init.ts'),
    ]);
    return {
      open: (config, deps) => openDynamoDbLedger(config as DynamoDbLedgerConfig, deps),
      inspect: (config, deps) => inspectDynamoDbLedger(config as DynamoDbLedgerConfig, deps),
      init: (config, deps) => initDynamoDbLedger(config as DynamoDbLedgerConfig, deps),
    };
  },
};
