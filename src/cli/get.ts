import type { Command } from 'commander';
import { isJsonObject, type JsonObject } from '../lib/strict-json.ts';
import { parseDuration } from '../lib/time.ts';
import { exit, Failure } from './failure.ts';
import { connect, ProblemFailure, type ServerOptions } from './server.ts';
import { addCommand, type Shell, serverOptions } from './shell.ts';
import { plainJson, shown } from './terminal.ts';
import { asDotenv, asEnv, asShell, pickField, type Variable, variablesOf } from './variables.ts';

interface GetOptions extends ServerOptions {
  readonly ttl?: string;
  readonly reason?: string;
  readonly format?: string;
  readonly field?: string;
}

const formats: Readonly<Record<string, (variables: readonly Variable[]) => string>> = {
  env: asEnv,
  dotenv: asDotenv,
  shell: asShell,
};

/** The shortest life that may be asked for, in seconds. */
const leastTtl = 30;

/** `get NAME`: the secret goes to stdout, everything else to stderr. */
export function addGet(program: Command, shell: Shell): void {
  const command = addCommand(program, 'get <name>', 'get one credential', 'hallpass get demo-secret --field value');
  serverOptions(command)
    .option('--ttl <duration>', 'how long it should live, such as 10m (shortened to what the grant allows)')
    .option('--reason <text>', 'why, for the record (at most 256 characters)')
    .option('--format <format>', 'json (the whole answer), env, dotenv or shell', 'json')
    .option(
      '--field <field>',
      'only this member of the data, or of the answer (such as receipt); as it is, unless --format says otherwise',
    )
    .action(async (name: string, options: GetOptions, self: Command) => {
      const format = self.getOptionValueSource('format') === 'default' ? undefined : options.format;
      if (format !== undefined && format !== 'json' && formats[format] === undefined)
        throw new Failure(exit.usage, `unknown format ${JSON.stringify(shown(format))}`, 'json, env, dotenv or shell');
      checkTtl(options.ttl);
      const server = await connect(options, shell.terminal);
      const asked = { ttl: options.ttl, reason: options.reason };
      const body = asked.ttl === undefined && asked.reason === undefined ? undefined : asked;
      const path = `/v1/credentials/${encodeURIComponent(name)}`;
      const answer = await server.call('POST', path, 'lease', body).catch((error) => {
        throw withExplain(error, name);
      });
      if (typeof answer.body.id !== 'string')
        throw new Failure(exit.unreachable, `${server.url} gave no usable answer (no credential in it)`);
      shell.terminal.out(render(name, answer.body, format, options.field, shell.terminal.outIsTerminal));
      shell.terminal.err(describe(answer.body));
    });
}

/** Durations under 30 seconds are refused by every server. @throws Failure */
export function checkTtl(ttl: string | undefined): void {
  if (ttl === undefined || (parseDuration(ttl) ?? 0) >= leastTtl) return;
  const said = `--ttl ${JSON.stringify(shown(ttl))} is no duration of at least ${leastTtl} seconds`;
  throw new Failure(exit.usage, said, 'write it with its unit, such as --ttl 10m');
}

/** A denial says nothing of the policy; `explain` may. */
export function withExplain(error: unknown, name: string): unknown {
  if (!(error instanceof ProblemFailure) || error.problem !== 'denied') return error;
  const hints = [error.hint, `see: hallpass explain ${shown(name)}`].filter((hint) => hint !== undefined);
  return new Failure(error.code, error.message, hints.join('\n  '));
}

function render(
  name: string,
  answer: JsonObject,
  format: string | undefined,
  field: string | undefined,
  terminal: boolean,
): string {
  const data = isJsonObject(answer.data) ? answer.data : {};
  const only = field === undefined ? undefined : pickField(answer, data, field);
  if (format === undefined || format === 'json') {
    if (only === undefined) return `${plainJson(answer, 2)}\n`;
    if (format === 'json') return `${plainJson(only)}\n`;
    // Bytes as they are, so that `$(...)` and `> file` get the value and nothing more.
    return `${typeof only === 'string' ? only : JSON.stringify(only)}${terminal ? '\n' : ''}`;
  }
  const chosen = only === undefined || field === undefined ? data : { [field]: only };
  const write = formats[format];
  return write === undefined ? '' : write(variablesOf(name, chosen));
}

function describe(answer: JsonObject): string {
  const lease = isJsonObject(answer.lease) ? answer.lease : {};
  const receipt = isJsonObject(answer.receipt) ? answer.receipt : {};
  const text = `issuance ${answer.id}, until ${lease.expiresAt}, record ${receipt.index} of ${receipt.log}`;
  return `${shown(text)}\n`;
}
