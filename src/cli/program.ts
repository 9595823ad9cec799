import { Command, CommanderError } from 'commander';
import { UnreadKey } from '../config/parts/key-refs.ts';
import { Refusal } from '../lib/refusal.ts';
import { version } from '../lib/version.ts';
import { addConfig } from './config.ts';
import { addDev } from './dev/dev.ts';
import { addExplain } from './explain.ts';
import { exit, Failure } from './failure.ts';
import { addFederation } from './federation.ts';
import { addGet } from './get.ts';
import { addIssuances } from './issuances/issuances.ts';
import { addKeys } from './keys.ts';
import { addLease } from './lease.ts';
import { addLedger } from './ledger/ledger.ts';
import { addLockdown } from './lockdown/lockdown.ts';
import { addRotate } from './rotate.ts';
import { addRun } from './run.ts';
import { addServe } from './serve.ts';
import { ProblemFailure } from './server.ts';
import type { Shell } from './shell.ts';
import { addSecret } from './store/secret.ts';
import { addStore } from './store/store.ts';
import { shown, type Terminal } from './terminal.ts';

const commands = [
  addDev,
  addServe,
  addConfig,
  addSecret,
  addGet,
  addRun,
  addExplain,
  addIssuances,
  addLedger,
  addKeys,
  addLease,
  addLockdown,
  addRotate,
  addStore,
  addFederation,
];

/** Runs one command line and returns its exit code; never throws, prints no stack. */
export async function runCommand(args: readonly string[], terminal: Terminal): Promise<number> {
  let code: number = exit.done;
  const shell: Shell = { terminal, finish: (ended) => (code = ended) };
  let asked: Command | undefined;
  try {
    const program = buildProgram(shell).hook('preAction', (_, command) => {
      asked = command;
    });
    await program.parseAsync(isUnknown(program, args) ? args.filter((arg) => !helpFlags.has(arg)) : args, {
      from: 'user',
    });
    return code;
  } catch (error) {
    return report(withRole(error, asked), terminal);
  }
}

/** A refusal says nothing of the policy, and what a command needs stands in its description. */
function withRole(error: unknown, command: Command | undefined): unknown {
  const role = /needs a role with ([a-z]+: [a-z]+)\)/.exec(command?.description() ?? '')?.[1];
  if (!(error instanceof ProblemFailure) || error.problem !== 'denied' || error.hint !== undefined) return error;
  return role === undefined ? error : new Failure(error.code, error.message, `this needs a role with ${role}`);
}

/** The whole command tree; help and docs are made from it. */
export function buildProgram(shell: Shell): Command {
  const program = new Command('hallpass')
    .description('A secrets broker: a workload token in, a short-lived credential out, a tamper-evident record kept.')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'help for this command')
    .addHelpText('after', '\nExample:\n  $ hallpass dev')
    .enablePositionalOptions()
    .exitOverride()
    .showHelpAfterError('  --help says what it takes')
    .configureOutput({
      writeOut: (text) => shell.terminal.out(text),
      writeErr: (text) => shell.terminal.err(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'hallpass: ')),
    });
  for (const add of commands) add(program, shell);
  return program;
}

const helpFlags: ReadonlySet<string> = new Set(['-h', '--help']);

/** Whether a command is named that is not there: help for it would be that of the one above, as if all were well. */
function isUnknown(program: Command, args: readonly string[]): boolean {
  let command = program;
  for (const arg of args) {
    if (command.commands.length === 0 || arg.startsWith('-') || arg === 'help') return false;
    const next = command.commands.find((one) => one.name() === arg || one.aliases().includes(arg));
    if (next === undefined) return true;
    command = next;
  }
  return false;
}

function report(error: unknown, terminal: Terminal): number {
  // Commander has said its own; help and version asked for are no error.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exit.done : exit.usage;
  if (error instanceof Failure) {
    if (error.message !== '')
      terminal.err(`hallpass: ${error.message}\n${error.hint === undefined ? '' : `  ${error.hint}\n`}`);
    return error.code;
  }
  if (error instanceof UnreadKey) {
    terminal.err(`hallpass: ${shown(error.message)}\n`);
    return settled.has(error.cause.reason) ? exit.negative : exit.unreachable;
  }
  // Beside a key of the start only a ledger refuses outside a request: it is away.
  if (error instanceof Refusal) {
    terminal.err(`hallpass: ${shown(error.message)}\n`);
    return exit.unreachable;
  }
  const message = error instanceof Error ? error.message : 'failed';
  terminal.err(`hallpass: ${shown(error instanceof TypeError ? `TypeError: ${message}` : message)}\n`);
  return exit.negative;
}

/** Why a secret cannot be had however often it is asked for; all else is a store that cannot be reached. */
const settled: ReadonlySet<string> = new Set(['absent', 'disabled', 'damaged', 'not_json', 'no_field']);
