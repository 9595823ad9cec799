import { startServer, temporaryFolder, writeConfig } from '../support/server.ts';
import { configFor, type Running, type Send, scenario, variables } from './scenario.ts';

scenario('Node over HTTP', async (): Promise<Running> => {
  const { folder, remove } = temporaryFolder();
  const file = writeConfig(
    folder,
    configFor({ ledger: { kind: 'sqlite', path: 'ledger.db' }, signer: { kind: 'local', path: 'keys' } }),
  );
  let server = await startServer(file, 0, [], variables);
  const send: Send = (path, init) => fetch(`${server.url}${path}`, init);
  return {
    send,
    ledger: send,
    async restart() {
      await server.stop();
      server = await startServer(file, 0, [], variables);
    },
    async end() {
      await server.stop();
      remove();
    },
  };
});
