import { resolve } from 'node:path';
import { buildDeployment } from '../config/build.ts';
import type { Deployment } from '../config/deployment.ts';
import { createApp } from '../http/app.ts';
import { startBeside } from '../http/beside.ts';
import { type Listen, serveNode } from '../http/node.ts';
import { StoreFault } from '../ledger/log-store.ts';
import { takeWarnings } from '../lib/node-warnings.ts';
import type { Platform } from '../lib/platform.ts';
import type { ConfigFile } from './config-file.ts';
import { exit, Failure } from './failure.ts';
import { isAway, ledgerFailure, missingFolder } from './ledger-failure.ts';
import { nodePlatform } from './node-platform.ts';
import { shown, type Terminal } from './terminal.ts';

export interface OpenServer {
  /** The bound address. */
  readonly url: string;
  readonly deployment: Deployment;
  readonly platform: Platform;
  /** What goes on beside serving, in words; after the closing too, until it is done. */
  underWay(): readonly string[];
  /** Ends the upkeep, closes idle connections at once, drains the rest, closes the ledger. */
  close(): Promise<void>;
}

/** Builds what the config says and serves it, with the upkeep beside. Nothing listens when it cannot be built. @throws Failure */
export async function openServer(file: ConfigFile, listen: Listen, terminal: Terminal): Promise<OpenServer> {
  const platform = nodePlatform(terminal, file.folder);
  takeWarnings((error) => platform.log('warn', 'node_warning', { error }));
  const deployment = await buildDeployment(file.config, platform).catch((error) => {
    throw sqliteFailure(error, file) ?? (isAway(error) ? ledgerFailure(error, file.config.ledger.kind, '') : error);
  });
  try {
    const app = createApp(deployment, platform);
    const { tokenBytes, requestMs } = deployment.limits;
    const server = await serveNode(app, platform, { ...listen, tokenBytes, requestMs });
    const beside = startBeside(deployment, platform);
    return {
      url: server.url,
      deployment,
      platform,
      underWay: beside.underWay,
      async close() {
        beside.stop();
        await server.close();
        await deployment.close();
      },
    };
  } catch (error) {
    await deployment.close();
    throw portFailure(error, listen) ?? error;
  }
}

// A ledger makes no folder: one that is gone may be a disk that is not mounted, and the log on it.
function sqliteFailure(error: unknown, { config, folder }: ConfigFile): Failure | undefined {
  const { path } = config.ledger;
  if (!(error instanceof StoreFault) || typeof path !== 'string') return undefined;
  const file = resolve(folder, path);
  const hint = error.reason === 'cannot_open' ? missingFolder : undefined;
  return new Failure(exit.negative, `the ledger ${shown(file)} cannot be used (${error.reason})`, hint);
}

/** What to tell an operator whose port cannot be had; undefined for any other error. */
export function portFailure(error: unknown, { host, port }: Pick<Listen, 'host' | 'port'>): Failure | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE')
    return new Failure(
      exit.negative,
      `port ${port} of ${host} is taken`,
      'name another with --port, or --port 0 for any free one',
    );
  if (code === 'EACCES')
    return new Failure(exit.negative, `port ${port} of ${host} is not allowed to this user`, 'use a port from 1024 up');
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return new Failure(exit.negative, `${host} is no address of this machine`);
  return undefined;
}
