import type { PlugIn } from '../../lib/catalog.ts';
import { refSchema } from '../../lib/common-schemas.ts';
import * as s from '../../lib/schema/index.ts';
import { confirmMembers } from '../going-on.ts';
import type { LedgerDriverModule } from './driver.ts';
import { logMembers, shardMembers } from './log-members.ts';

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('postgres'),
    /** The database's address with its login: `postgres://user:password@host:port/database`. */
    url: refSchema,
    ...shardMembers,
    ...logMembers,
    ...confirmMembers,
  }),
);

export type PostgresLedgerConfig = s.infer<typeof schema>;

/** A log in tables of a PostgreSQL, which every broker writes for itself. */
export const postgresLedger: PlugIn<LedgerDriverModule, 'postgres'> = {
  name: 'postgres',
  about: 'Tables in a PostgreSQL (or what speaks as one), written by every broker itself',
  schema,
  runtimes: ['node', 'lambda'],
  load: async () => {
    const [{ openPostgresLedger }, { inspectPostgresLedger }, { initPostgresLedger }] = await Promise.all([
      import('./postgres/open.ts'),
      import('./postgres/inspect.ts'),
      import('./postgres/init.ts'),
    ]);
    return {
      open: (config, deps) => openPostgresLedger(config as PostgresLedgerConfig, deps),
      inspect: (config, deps) => inspectPostgresLedger(config as PostgresLedgerConfig, deps),
      init: (config, deps) => initPostgresLedger(config as PostgresLedgerConfig, deps),
    };
  },
};
