import * as z from 'zod/mini';
import type { PlugIn } from '../../lib/catalog.ts';
import { refSchema } from '../../lib/schema.ts';
import type { LedgerDriverModule } from '../driver.ts';
import { archiveMembers, goingOnMembers, standbyMembers } from '../going-on.ts';
import { mostShards } from '../log-name.ts';
import { retentionMembers } from '../retain.ts';

const schema = z.strictObject({
  kind: z.literal('postgres'),
  /** The database's address with its login: `postgres://user:password@host:port/database`. */
  url: refSchema,
  /** How many logs share the load; each has its own serial point and checkpoint. */
  shards: z.optional(z.int().check(z.gte(1), z.lte(mostShards))),
  origin: z.optional(z.string()),
  public: z.optional(z.boolean()),
  ...retentionMembers,
  ...goingOnMembers,
  ...archiveMembers,
  ...standbyMembers,
  /** 32 bytes from which the checkpoint and workload keys come, instead of from the signer's. */
  seed: z.optional(refSchema),
});

export type PostgresLedgerConfig = z.infer<typeof schema>;

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
