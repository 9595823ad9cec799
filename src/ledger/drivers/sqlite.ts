import type { PlugIn } from '../../lib/catalog.ts';
import * as s from '../../lib/schema/index.ts';
import { confirmMembers } from '../going-on.ts';
import type { LedgerDriverModule } from './driver.ts';
import { logMembers } from './log-members.ts';
import type { SqliteLedgerConfig } from './sqlite/open.ts';

/** The embedded default: the log is one SQLite file beside the process. */
export const sqliteLedger: PlugIn<LedgerDriverModule, 'sqlite'> = {
  name: 'sqlite',
  about: 'One SQLite file beside the process; the embedded default',
  schema: s.strictObject({
    kind: s.literal('sqlite'),
    path: s.string().check(s.minLength(1)),
    ...logMembers,
    ...confirmMembers,
  }),
  // Not on Lambda: what its file system holds is gone with the sandbox.
  runtimes: ['node'],
  load: async () => {
    const { openSqliteLedger } = await import('./sqlite/open.ts');
    return {
      open(config, deps) {
        const { commitWorker: workerUrl } = deps.platform;
        const indexUrl = workerUrl && new URL('index-worker.mjs', workerUrl);
        return openSqliteLedger(config as SqliteLedgerConfig, deps, { workerUrl, indexUrl });
      },
      async init(config, deps) {
        const [{ stateOfFile }, { resolve }] = await Promise.all([import('./sqlite/file.ts'), import('node:path')]);
        const { path } = config as SqliteLedgerConfig;
        const was = stateOfFile(resolve(deps.platform.folder ?? '.', path));
        await (await openSqliteLedger(config as SqliteLedgerConfig, deps)).close();
        return was;
      },
      async inspect(config, { platform }) {
        const { inspectSqliteLedger } = await import('./sqlite/inspect.ts');
        return inspectSqliteLedger(config as SqliteLedgerConfig, platform.folder ?? '.');
      },
    };
  },
};
