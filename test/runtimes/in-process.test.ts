import { randomBytes } from 'node:crypto';
import { buildDeployment } from '../../src/config/build.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createApp } from '../../src/http/app.ts';
import type { Platform } from '../../src/lib/platform.ts';
import { temporaryFolder } from '../support/server.ts';
import { audience, configFor, type Running, type Send, scenario, variables } from './scenario.ts';

scenario('an app in process', async (): Promise<Running> => {
  const { folder, remove } = temporaryFolder();
  const platform: Platform = {
    runtime: 'node',
    now: Date.now,
    random: (bytes) => randomBytes(bytes),
    fetch: () => Promise.reject(new Error('no network')),
    log: () => {},
    env: variables,
    folder,
    instance: 'test',
  };
  const text = JSON.stringify(
    configFor({ ledger: { kind: 'sqlite', path: 'ledger.db' }, signer: { kind: 'local', path: 'keys' } }),
  );
  const open = async () => {
    const { config } = await loadConfig(text, { file: 'test', runtime: 'node', env: variables, folder });
    const deployment = await buildDeployment(config, platform);
    return { deployment, app: createApp(deployment, platform) };
  };
  let { deployment, app } = await open();
  const send: Send = async (path, init) => app.fetch(new Request(`${audience}${path}`, init));
  return {
    send,
    ledger: send,
    async restart() {
      await deployment.close();
      ({ deployment, app } = await open());
    },
    async end() {
      await deployment.close();
      remove();
    },
  };
});
