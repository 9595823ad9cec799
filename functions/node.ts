import { randomBytes } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { buildDeployment } from '../src/config/build.ts';
import { ConfigError } from '../src/config/text/problem.ts';
import { createApp } from '../src/http/app.ts';
import { closeInTime, startBeside } from '../src/http/beside.ts';
import { serveNode } from '../src/http/node.ts';
import { nodeIo } from '../src/lib/node-io.ts';
import { takeWarnings } from '../src/lib/node-warnings.ts';
import { jsonLines, toStream } from '../src/lib/operator-log.ts';
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
    ...nodeIo(config.folder ?? process.cwd()),
    log: jsonLines(toStream(process.stderr, Date.now), Date.now),
    env,
    folder: config.folder,
    instance: `node-${randomBytes(4).toString('hex')}`,
  };
  takeWarnings((error) => platform.log('warn', 'node_warning', { error }));
  const { config: checked } = await loadChecked(platform, config);
  const deployment = await buildDeployment(checked, platform);
  // An empty variable is one that nobody has set; to Node an empty host is every address of the machine.
  const host = options.host || env.HOST || '127.0.0.1';
  const { tokenBytes, requestMs } = deployment.limits;
  const listen = { host, port: options.port ?? Number(env.PORT || 8787), tokenBytes, requestMs };
  const server = await serveNode(createApp(deployment, platform), platform, listen).catch(async (error) => {
    await deployment.close();
    throw error;
  });
  const beside = startBeside(deployment, platform);
  return {
    url: server.url,
    log: platform.log,
    underWay: beside.underWay,
    async close() {
      beside.stop();
      await server.close();
      await deployment.close();
    },
  };
}

/** As a program: serves until SIGTERM or SIGINT; stdout says where it listens, stderr is the operator's log. */
async function run(): Promise<void> {
  // A reader of the log, or of what a sink writes, that went away is no reason to stop serving.
  for (const stream of [process.stderr, process.stdout]) stream.on('error', () => {});
  const stopped = new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, resolve);
  });
  const server = await start();
  process.stdout.write(`${JSON.stringify({ event: 'listening', url: server.url })}\n`);
  await stopped;
  await closeInTime(server, server, () => process.exit());
}

const isMe = (path: string) => import.meta.url === pathToFileURL(path).href;
const [, started] = process.argv;
if (started !== undefined && (isMe(started) || isMe(realpathSync(started)))) {
  run().catch((error) => {
    // Problems of the config are lines of the log already.
    if (!(error instanceof ConfigError)) process.stderr.write(`${error instanceof Error ? error.message : 'failed'}\n`);
    process.exitCode = 1;
  });
}
