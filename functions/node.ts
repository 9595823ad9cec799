import { randomBytes } from 'node:crypto';
import { buildDeployment } from '../src/config/build.ts';
import { createApp } from '../src/http/app.ts';
import { serveNode } from '../src/http/node.ts';
import { startUpkeep } from '../src/http/upkeep.ts';
import { jsonLines } from '../src/lib/operator-log.ts';
import type { Platform } from '../src/lib/platform.ts';
import { findConfig } from './config-file.ts';
import { loadChecked } from './instance.ts';

export interface StartOptions {
  readonly host?: string;
  /** 0 takes any free port. */
  readonly port?: number;
}

/**
 * Starts the Node server from the environment, as a container does (HOST and PORT where the options name none).
 *
 * @throws ConfigError, or whatever kept the deployment from being built; then nothing listens
 */
export async function start(
  env: Readonly<Record<string, string | undefined>> = process.env,
  options: StartOptions = {},
) {
  const config = await findConfig(env, process.cwd());
  const platform: Platform = {
    runtime: 'node',
    now: Date.now,
    random: (bytes) => randomBytes(bytes),
    fetch: (url, init) => fetch(url, init),
    log: jsonLines((line) => void process.stderr.write(line), Date.now),
    env,
    folder: config.folder,
    instance: `node-${randomBytes(4).toString('hex')}`,
  };
  const { config: checked } = await loadChecked(platform, config);
  const deployment = await buildDeployment(checked, platform);
  const host = options.host ?? env.HOST ?? '127.0.0.1';
  const server = await serveNode(createApp(deployment, platform), platform, {
    host,
    port: options.port ?? Number(env.PORT ?? 8787),
    tokenBytes: deployment.limits.tokenBytes,
  });
  const upkeep = startUpkeep(deployment.recover, platform);
  return {
    url: server.url,
    async close() {
      upkeep.stop();
      await server.close();
      await deployment.close();
    },
  };
}
