import type { Command } from 'commander';
import { isLoopbackHost } from '../lib/url.ts';
import { exit, Failure } from './failure.ts';
import { addCommand, type Shell } from './shell.ts';

interface ServeOptions {
  readonly config: string;
  readonly host: string;
  readonly port: string;
}

/** `serve`: one JSON line on stdout once it listens, the operator's log on stderr. */
export function addServe(program: Command, shell: Shell): void {
  addCommand(program, 'serve', 'run the server', 'hallpass serve --config .hallpass/config.yaml')
    .requiredOption('--config <file>', 'the config')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'port to listen on, 0 for any free one', '8787')
    .action(async (options: ServeOptions) => {
      const { terminal } = shell;
      const port = parsePort(options.port);
      // To Node it is every address of the machine.
      if (options.host === '')
        throw new Failure(exit.usage, '--host is empty', 'an address, such as 127.0.0.1, or 0.0.0.0 for all');
      const { readConfigFile } = await import('./config-file.ts');
      const { openServer } = await import('./open-server.ts');
      const { closeInTime } = await import('../http/beside.ts');
      const { formatProblem } = await import('../config/text/problem.ts');
      const stopped = terminal.stopped();
      terminal.withoutReader('serves');
      const file = await readConfigFile(options.config, terminal);
      const server = await openServer(file, { host: options.host, port }, terminal);
      const { log } = server.platform;
      for (const warning of file.warnings) log('warn', 'config_warning', { error: formatProblem(warning) });
      const elsewhere = otherPort(file.config.broker.url, server.url);
      if (elsewhere !== undefined) log('warn', 'url_port_differs', { error: elsewhere });
      terminal.out(`${JSON.stringify({ event: 'listening', url: server.url })}\n`);
      await stopped;
      await closeInTime(server, server.platform, terminal.end);
    });
}

/** What is wrong where a broker on this machine is not reached at the port that it calls its own. */
function otherPort(own: string, bound: string): string | undefined {
  const url = new URL(own);
  if (!isLoopbackHost(url.hostname) || portOf(url) === portOf(new URL(bound))) return undefined;
  return `tokens and discovery name ${own} (broker.url), and this listens at ${bound}`;
}

const portOf = ({ port, protocol }: URL): string => port || (protocol === 'https:' ? '443' : '80');

/** @throws Failure */
export function parsePort(text: string): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 65_536;
  if (port > 65_535) throw new Failure(exit.usage, `${JSON.stringify(text)} is no port`, 'a number from 0 to 65535');
  return port;
}
