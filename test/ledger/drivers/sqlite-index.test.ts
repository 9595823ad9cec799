import { join } from 'node:path';
import { openSqliteIndex } from '../../../src/ledger/drivers/sqlite/index-file.ts';
import { queryIndexContract } from '../../contracts/query-index.ts';
import { newFolder, removeFolder } from './sqlite-fixture.ts';

queryIndexContract('a file beside a sqlite ledger', async () => {
  const folder = newFolder();
  const index = openSqliteIndex(join(folder, 'ledger.db.index'));
  return {
    index,
    async end() {
      await index.close?.();
      removeFolder(folder);
    },
  };
});
