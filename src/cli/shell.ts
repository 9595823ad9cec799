import type { Command } from 'commander';
import { exit, Failure } from './failure.ts';
import { type Terminal, wrapped } from './terminal.ts';
import { tokenSourceNames } from './token-sources.ts';

/** What every command is given: the world, and where it leaves its exit code when that is not 0. */
export interface Shell {
  readonly terminal: Terminal;
  finish(code: number): void;
}

/** Adds a command with its one runnable example. */
export function addCommand(parent: Command, usage: string, about: string, example: string): Command {
  return parent
    .command(usage)
    .description(about)
    .addHelpText('after', `\nExample:\n  $ ${example}`)
    .hook('preAction', (_, command) => refuseEmpty(command));
}

/** As wide as a help is. */
const helpColumns = 80;

/** An empty name is a variable of a script that is not set; what a command is to run has its own. */
function refuseEmpty({ registeredArguments, processedArgs }: Command): void {
  const empty = registeredArguments.find((_, at) => processedArgs[at] === '');
  if (empty !== undefined) throw new Failure(exit.usage, `the argument ${empty.name()} is empty`);
}

/** The id of a new issuance, for examples that need one. */
export const anIssuance = '"$(hallpass get demo-secret --field id)"';

/** The options of every command that speaks to a server, and where server and token come from without them. */
export function serverOptions(command: Command): Command {
  return command
    .option('--server <url>', 'the Hallpass server (default: HALLPASS_URL, else a running `hallpass dev`)')
    .option('--token-file <file>', 'file with the workload token (default: see below)')
    .option('--timeout <duration>', 'how long to wait for each answer of the server, such as 2m (default: 20s)')
    .option('--verbose', 'say on stderr which server and token source were taken')
    .addHelpText(
      'after',
      `\n${wrapped(`The token is the first found of: ${tokenSourceNames.join(', ')}.`, helpColumns).join('\n')}`,
    );
}
