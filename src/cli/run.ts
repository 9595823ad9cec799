import type { Command } from 'commander';
import { isJsonObject, type JsonObject } from '../lib/strict-json.ts';
import { exit, Failure } from './failure.ts';
import { checkTtl, withExplain } from './get.ts';
import { type Child, exitForSignal, type Signal } from './processes.ts';
import { environmentOf, parseWith, type With } from './run-with.ts';
import { connect, revokeByHandle, type Server, type ServerOptions } from './server.ts';
import { addCommand, type Shell, serverOptions } from './shell.ts';
import { shown, type Terminal } from './terminal.ts';

interface RunOptions extends ServerOptions {
  readonly with?: readonly string[];
  readonly ttl?: string;
  readonly reason?: string;
}

/** `run --with NAME -- CMD`: nothing is on disk, in arguments or in this shell's own environment; afterwards it is revoked. */
export function addRun(program: Command, shell: Shell): void {
  const example = 'hallpass run --with demo-secret.value=API_KEY -- printenv API_KEY';
  const command = addCommand(program, 'run <command...>', 'run a command with credentials in its environment', example);
  serverOptions(command)
    .option(
      '--with <name>',
      'NAME, NAME.field, NAME=VAR or NAME.field=VAR; as often as needed',
      (text: string, before: readonly string[] = []) => [...before, text],
    )
    .option('--ttl <duration>', 'how long they should live, such as 10m (shortened to what the grant allows)')
    .option('--reason <text>', 'why, for the record (at most 256 characters)')
    .addHelpText(
      'after',
      `
Variables are named <NAME>_<FIELD> unless VAR says otherwise. The exit code is
the command's own, 128 + n when signal n ended it; 77 when a credential is
refused: the command is not started then. All leases are revoked when it ends.`,
    )
    .passThroughOptions()
    .action(async (words: string[], options: RunOptions) => {
      const wanted = (options.with ?? []).map(parseWith);
      if (wanted.length === 0)
        throw new Failure(exit.usage, 'no credential named', 'name one with --with NAME, or more');
      checkTtl(options.ttl);
      shell.finish(await runWith(wanted, words, options, shell.terminal));
    });
}

async function runWith(
  wanted: readonly With[],
  words: readonly string[],
  options: RunOptions,
  terminal: Terminal,
): Promise<number> {
  const heard: { signal?: Signal; child?: Child } = {};
  const deaf = terminal.hearSignals((signal) => {
    // A window of another size ends nothing.
    if (signal !== 'SIGWINCH') heard.signal ??= signal;
    // A terminal sends its own to the command as well.
    const twice = terminal.inIsTerminal && ['SIGINT', 'SIGQUIT', 'SIGWINCH'].includes(signal);
    if (!twice) heard.child?.kill(signal);
  });
  try {
    const server = await connect(options, terminal);
    const answers = await getAll(server, [...new Set(wanted.map(({ credential }) => credential))], options);
    try {
      const added = environmentOf(wanted, answers);
      if (heard.signal !== undefined) return exitForSignal(heard.signal);
      heard.child = terminal.start(words, { ...terminal.env, ...added });
      return await heard.child.ended;
    } finally {
      await Promise.all([...answers.values()].map((answer) => revoke(answer, server, options, terminal)));
    }
  } finally {
    deaf();
  }
}

/** All of them or none: what is got before another is refused, the server takes back. */
async function getAll(
  server: Server,
  names: readonly string[],
  { ttl, reason }: RunOptions,
): Promise<ReadonlyMap<string, JsonObject>> {
  const { body } = await server
    .call('POST', '/v1/credentials', 'credentials', { names, ttl, reason })
    .catch((error) => {
      throw withExplain(error, names.length === 1 ? (names[0] as string) : 'NAME');
    });
  const answers = Array.isArray(body.credentials) ? body.credentials.filter(isJsonObject) : [];
  return new Map(answers.map((answer) => [String(answer.credential), answer]));
}

/** What cannot be revoked is told and changes no exit code: that one is the command's. */
async function revoke(answer: JsonObject, server: Server, options: RunOptions, terminal: Terminal): Promise<void> {
  const { id, lease } = answer;
  const { handle, expiresAt } = isJsonObject(lease) ? lease : {};
  const path = `/v1/leases/${encodeURIComponent(String(id))}`;
  try {
    const { status } =
      typeof handle === 'string'
        ? await revokeByHandle(terminal, server.url, path, handle, options)
        : // The command may have outlived the token of its start.
          await (await connect({ ...options, verbose: false }, terminal)).call('DELETE', path, 'nothing');
    if (status === 202) terminal.err(`hallpass: lease ${shown(String(id))} is revoked, not yet done at the target\n`);
  } catch (error) {
    const why = error instanceof Error ? error.message : 'failed';
    terminal.err(`hallpass: lease ${shown(String(id))} is not revoked (${why}); it ends ${shown(String(expiresAt))}\n`);
  }
}
