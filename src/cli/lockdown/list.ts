import type { Command } from 'commander';
import { connect, type ServerOptions } from '../server.ts';
import { addCommand, type Shell, serverOptions } from '../shell.ts';
import { tableOrBlocks } from '../terminal.ts';
import { asJson, cell, objectsIn, textsIn, whatOf } from './shown.ts';

interface ListOptions extends ServerOptions {
  readonly json?: true;
  readonly all?: true;
}

export function addList(group: Command, shell: Shell): void {
  const list = addCommand(group, 'list', 'the lockdowns in force', 'hallpass lockdown list --all');
  serverOptions(list)
    .option('--all', 'also those that ended or were lifted')
    .option('--json', 'the answer as it is')
    .action(async ({ all, json, ...options }: ListOptions) => {
      const { terminal } = shell;
      const server = await connect(options, terminal);
      const { body } = await server.call('GET', `/v1/lockdowns${all === true ? '?all=true' : ''}`, 'items');
      if (objectsIn(body.items).length === 0)
        terminal.err(all === true ? 'there are no lockdowns\n' : 'no lockdown is in force\n');
      for (const { id, unknown } of objectsIn(body.items).filter((item) => item.unknown !== undefined))
        terminal.err(
          `warning: ${cell(id)} stops nothing at this server, which has no such ${textsIn(unknown).join(', ')}\n`,
        );
      const rows = objectsIn(body.items).map(({ id, state, match, at, until, by, reason }) =>
        [id, state, whatOf(match), at, until, by, reason].map(cell),
      );
      const headings = ['ID', 'STATE', 'STOPS', 'SINCE', 'UNTIL', 'BY', 'REASON'];
      terminal.out(json === true ? asJson(body) : tableOrBlocks(headings, rows, terminal.outColumns));
    });
}
