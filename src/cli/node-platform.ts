import { hostname } from 'node:os';
import { toHex } from '../lib/bytes.ts';
import { nodeIo } from '../lib/node-io.ts';
import { jsonLines } from '../lib/operator-log.ts';
import type { Platform } from '../lib/platform.ts';
import type { Terminal } from './terminal.ts';

/** The platform of a Node process; relative paths of the config count from `folder`, the log goes to stderr. */
export function nodePlatform(terminal: Terminal, folder: string): Platform {
  return {
    runtime: 'node',
    now: terminal.now,
    random: terminal.random,
    ...nodeIo(folder),
    fetch: terminal.fetch,
    log: jsonLines(terminal.err, terminal.now),
    env: terminal.env,
    folder,
    instance: `${hostname()
      .replace(/[^A-Za-z0-9.-]/g, '-')
      .slice(0, 40)}-${toHex(terminal.random(4))}`,
  };
}
