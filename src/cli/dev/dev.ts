import { relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { nearest } from '../../lib/suggest.ts';
import { exit, Failure } from '../failure.ts';
import { parsePort } from '../serve.ts';
import { addCommand, type Shell } from '../shell.ts';
import { shown } from '../terminal.ts';
import { addDevToken } from './token.ts';

interface DevOptions {
  readonly port: string;
  readonly dir: string;
  readonly once?: boolean;
}

/** `dev`: everything on embedded parts, one real issuance shown step by step, then it keeps serving. */
export function addDev(program: Command, shell: Shell): void {
  const command = addCommand(
    program,
    'dev',
    'try it: broker, issuer, store and ledger in one process, on loopback',
    'hallpass dev --once',
  )
    .option('--port <port>', 'port on 127.0.0.1, 0 for any free one', '8787')
    .option('--dir <folder>', 'where keys, store and ledger are kept', '.hallpass')
    .option('--once', 'stop after the transcript; exit 0 only when the receipt verified')
    .allowExcessArguments()
    .action((options: DevOptions, self: Command) => {
      const [unknown] = self.args;
      if (unknown === undefined) return runDev(options, shell);
      const close = nearest(unknown, ['token']);
      const hint = close === undefined ? 'see hallpass dev --help' : `did you mean ${close}?`;
      throw new Failure(exit.usage, `unknown command ${JSON.stringify(shown(unknown))}`, hint);
    });
  addDevToken(command, shell);
}

async function runDev(options: DevOptions, shell: Shell): Promise<void> {
  const { terminal } = shell;
  const asked = parsePort(options.port);
  const dir = resolve(terminal.folder, options.dir);
  const { findRunning } = await import('../dev-folder.ts');
  const stopped = terminal.stopped();
  terminal.withoutReader('ends');
  const running = await findRunning(dir, terminal.fetch);
  if (running !== undefined)
    throw new Failure(
      exit.negative,
      `\`hallpass dev\` already runs in ${options.dir}, on ${running}`,
      'stop it first, or name another folder with --dir',
    );

  const { startDev } = await import('./server.ts');
  const { Denied, showIssuance } = await import('./transcript.ts');
  const server = await startDev(dir, asked, terminal);
  try {
    const { url, issuer, key } = server;
    const shows = { url, issuer, key, dir: relative(terminal.folder, dir) || '.', terminal };
    const verified = await showIssuance(shows).catch((error) => {
      if (options.once === true || !(error instanceof Denied)) throw error;
      terminal.err(`hallpass: ${error.message}\n  ${error.hint}\n`);
      return false;
    });
    if (!verified) shell.finish(exit.negative);
    if (options.once === true) return;
    terminal.out(`\nServing on ${url} until Ctrl-C.\n`);
    await stopped;
  } finally {
    await server.close();
  }
}
