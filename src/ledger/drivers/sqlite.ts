import * as z from 'zod/mini';
import type { PlugIn } from '../../lib/catalog.ts';
import type { LedgerDriverModule } from '../driver.ts';

/** The embedded default: the log is one SQLite file beside the process. */
export const sqliteLedger: PlugIn<LedgerDriverModule, 'sqlite'> = {
  name: 'sqlite',
  about: 'One SQLite file beside the process; the embedded default',
  schema: z.strictObject({
    kind: z.literal('sqlite'),
    path: z.string().check(z.minLength(1)),
    origin: z.optional(z.string()),
    public: z.optional(z.boolean()),
  }),
  // Not on Lambda: what its file system holds is gone with the sandbox.
  runtimes: ['node'],
  load: async () => {
    const { openSqliteLedger } = await import('./sqlite/open.ts');
    return {
      open: (config, deps) =>
        openSqliteLedger(config as { kind: 'sqlite'; path: string }, deps, { workerUrl: deps.platform.commitWorker }),
    };
  },
};
