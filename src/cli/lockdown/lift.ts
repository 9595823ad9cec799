import type { Command } from 'commander';
import { connect, hinted, type ServerOptions } from '../server.ts';
import { addCommand, type Shell, serverOptions } from '../shell.ts';
import { anId, pathOf, whichIds } from './hints.ts';
import { asJson, cell } from './shown.ts';

interface LiftOptions extends ServerOptions {
  readonly json?: true;
  readonly reason?: string;
}

export function addLift(group: Command, shell: Shell): void {
  const lift = addCommand(
    group,
    'lift <id>',
    'end a lockdown (needs a role with lockdown: write)',
    `hallpass lockdown lift ${anId} --reason rebuilt`,
  );
  serverOptions(lift)
    .option('--reason <text>', 'why; it stands in the ledger')
    .option('--json', 'the answer as it is')
    .action(async (id: string, { reason, json, ...options }: LiftOptions) => {
      const { terminal } = shell;
      const server = await connect(options, terminal);
      const asked = { ...(reason !== undefined && { reason }) };
      const { body } = await server.call('DELETE', pathOf(id), 'lockdown', asked).catch(hinted('not_found', whichIds));
      if (json === true) return terminal.out(asJson(body));
      const again = body.receipt === undefined;
      terminal.out(
        again ? 'it was lifted before\n' : `lifted at index ${cell(body.index)}, epoch ${cell(body.epoch)}\n`,
      );
    });
}
