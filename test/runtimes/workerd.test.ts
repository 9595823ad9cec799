import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Miniflare } from 'miniflare';
import { repository, temporaryFolder } from '../support/server.ts';
import { audience, configFor, type Running, type Send, scenario, variables } from './scenario.ts';

const dist = join(repository, 'dist');

scenario('workerd, with its ledger in a Durable Object', async (): Promise<Running> => {
  const { folder, remove } = temporaryFolder();
  const config = configFor({ ledger: { kind: 'durable-object', binding: 'LEDGER' }, signer: { kind: 'local' } });
  const chunks = readdirSync(join(dist, 'worker')).map((name) => join(dist, 'worker', name));
  const start = () =>
    new Miniflare({
      modules: [join(dist, 'worker.js'), ...chunks].map((path) => ({ type: 'ESModule' as const, path })),
      modulesRoot: dist,
      compatibilityDate: '2026-04-01',
      compatibilityFlags: ['nodejs_compat'],
      bindings: { ...variables, HALLPASS_CONFIG: JSON.stringify(config) },
      handleRuntimeStdio: (...streams: { resume(): unknown }[]) => {
        for (const stream of streams) stream.resume();
      },
      durableObjects: { LEDGER: { className: 'Ledger', useSQLite: true } },
      durableObjectsPersist: folder,
    });
  let workerd = start();
  await workerd.ready;
  const send: Send = async (path, init) =>
    (await workerd.dispatchFetch(`${audience}${path}`, init as never)) as unknown as Response;
  return {
    send,
    ledger: send,
    async restart() {
      await workerd.dispose();
      workerd = start();
      await workerd.ready;
    },
    async end() {
      await workerd.dispose();
      remove();
    },
  };
});
