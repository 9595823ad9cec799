import type { Command } from 'commander';
import { exit } from './failure.ts';
import { connect, type ServerOptions } from './server.ts';
import { addCommand, anIssuance, type Shell, serverOptions } from './shell.ts';

/** `lease revoke ID`: 0 when gone at the target, 75 when recorded and not yet done there. */
export function addLease(program: Command, shell: Shell): void {
  const group = addCommand(program, 'lease', 'end what was handed out', `hallpass lease revoke ${anIssuance}`);
  const revoke = addCommand(group, 'revoke <id>', 'revoke one lease', `hallpass lease revoke ${anIssuance}`);
  serverOptions(revoke).action(async (id: string, options: ServerOptions) => {
    const server = await connect(options, shell.terminal);
    const { status } = await server.call('DELETE', `/v1/leases/${encodeURIComponent(id)}`);
    if (status !== 202) {
      shell.terminal.err('revoked\n');
      return;
    }
    shell.terminal.err('recorded; not yet done at the target, run it again to retry\n');
    shell.finish(exit.unfinished);
  });
}
