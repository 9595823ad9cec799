import type { Command } from 'commander';
import { connect, type ServerOptions } from './server.ts';
import { addCommand, type Shell, serverOptions } from './shell.ts';
import { plainJson, shown } from './terminal.ts';

interface RotateOptions extends ServerOptions {
  readonly force?: boolean;
  readonly json?: boolean;
}

/** `rotate NAME`: for identities whose role has `secrets: rotate`. */
export function addRotate(program: Command, shell: Shell): void {
  const rotate = addCommand(
    program,
    'rotate <name>',
    'give a stored secret a new value (needs a role with secrets: rotate)',
    'hallpass rotate orders-admin',
  );
  serverOptions(rotate)
    .option('--force', 'even while the value before the current one may still be in use')
    .option('--json', 'the answer as it is')
    .action(async (name: string, { force, json, ...options }: RotateOptions) => {
      const server = await connect(options, shell.terminal);
      const body = force === true ? { force } : undefined;
      const answer = await server.call('POST', `/v1/credentials/${encodeURIComponent(name)}/rotate`, 'version', body);
      const { version, previous } = answer.body;
      if (json === true) shell.terminal.out(`${plainJson(answer.body, 2)}\n`);
      else
        shell.terminal.err(
          `${shown(name)} is now at version ${shown(String(version))}` +
            `${previous === undefined ? '' : `; version ${shown(String(previous))} was current before, and is handed out until caches have forgotten it`}\n`,
        );
    });
}
