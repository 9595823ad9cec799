import type { Command } from 'commander';
import { exit } from './failure.ts';
import { connect, type ServerOptions } from './server.ts';
import { addCommand, anIssuance, type Shell, serverOptions } from './shell.ts';

/** The server answers alike for a lease that can be ended and for one that cannot, so this says what is true of both. */
const recorded =
  'revocation recorded; what can be ended at its target is ended ' +
  '(a stored secret lives on, a signed token lives until it expires)\n';

/** `lease revoke ID`: 0 when all is done that can be, 75 when recorded and not yet done at the target. */
export function addLease(program: Command, shell: Shell): void {
  const group = addCommand(program, 'lease', 'end what was handed out', `hallpass lease revoke ${anIssuance}`);
  const revoke = addCommand(group, 'revoke <id>', 'revoke one lease', `hallpass lease revoke ${anIssuance}`);
  serverOptions(revoke).action(async (id: string, options: ServerOptions) => {
    const server = await connect(options, shell.terminal);
    const { status } = await server.call('DELETE', `/v1/leases/${encodeURIComponent(id)}`);
    if (status !== 202) {
      shell.terminal.err(recorded);
      return;
    }
    shell.terminal.err('recorded; not yet done at the target, run it again to retry\n');
    shell.finish(exit.unfinished);
  });
}
