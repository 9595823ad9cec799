import { temporaryFolder } from '../support/server.ts';
import { configFor, type Running, scenario, variables } from './scenario.ts';
import { startWorkerd } from './workerd-runner.ts';

scenario('workerd, with its ledger in a Durable Object', async (): Promise<Running> => {
  const { folder, remove } = temporaryFolder();
  const config = configFor({ ledger: { kind: 'durable-object', binding: 'LEDGER' }, signer: { kind: 'local' } });
  let workerd = await startWorkerd({ config, variables, folder });
  return {
    send: (path, init) => workerd.send(path, init),
    ledger: (path, init) => workerd.send(path, init),
    async restart() {
      await workerd.end();
      workerd = await startWorkerd({ config, variables, folder });
    },
    async end() {
      await workerd.end();
      remove();
    },
  };
});
