import { randomBytes } from 'node:crypto';
import { buildDeployment } from '../../src/config/build.ts';
import type { Deployment } from '../../src/config/deployment.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createApp } from '../../src/http/app.ts';
import type { Platform } from '../../src/lib/platform.ts';

export interface OpenBroker {
  readonly deployment: Deployment;
  send(path: string, init?: RequestInit): Promise<Response>;
  ask(path: string, token: string, method?: string): Promise<Response>;
}

/** The whole of a broker in this process, on the config given; `platform` says what differs from plain Node. */
export async function openBroker(
  config: unknown,
  folder: string,
  platform: Partial<Platform> = {},
): Promise<OpenBroker> {
  const full: Platform = {
    runtime: 'node',
    now: Date.now,
    random: (bytes) => new Uint8Array(randomBytes(bytes)),
    fetch: (url, init) => fetch(url, init),
    log: () => {},
    env: {},
    folder,
    instance: 'test',
    ...platform,
  };
  const options = { file: 'test.json', runtime: full.runtime, env: full.env, folder: full.folder };
  const { config: checked } = await loadConfig(JSON.stringify(config), options);
  const deployment = await buildDeployment(checked, full);
  const app = createApp(deployment, full);
  const send: OpenBroker['send'] = async (path, init) => app.fetch(new Request(`http://broker.test${path}`, init));
  return {
    deployment,
    send,
    ask: (path, token, method = 'POST') => send(path, { method, headers: { authorization: `Bearer ${token}` } }),
  };
}
