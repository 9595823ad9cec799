import { ledgerContract } from '../../contracts/ledger.ts';
import { newFolder, openIn, removeFolder } from './sqlite-fixture.ts';

ledgerContract('sqlite', async (given) => {
  const folder = newFolder();
  let ledger = await openIn(folder, given);
  return {
    ledger,
    async restart() {
      await ledger.close();
      ledger = await openIn(folder, given);
      return ledger;
    },
    async end() {
      await ledger.close();
      removeFolder(folder);
    },
  };
});
