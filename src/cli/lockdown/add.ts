import type { Command } from 'commander';
import { isJsonObject, type JsonObject } from '../../lib/strict-json.ts';
import { exit, Failure } from '../failure.ts';
import { checkDuration, checkInstant } from '../option-values.ts';
import { connect, type ServerOptions } from '../server.ts';
import { addCommand, type Shell, serverOptions } from '../shell.ts';
import type { Terminal } from '../terminal.ts';
import { radiusText } from './blast-radius.ts';
import { withHint } from './hints.ts';
import { revokeAll, revokedOf } from './revoke.ts';
import { asJson, cell, text, textsIn, whatOf } from './shown.ts';

const members = ['issuer', 'identity', 'grant', 'role', 'credential', 'store'] as const;

type Named = { readonly [member in (typeof members)[number]]?: string };

interface AddOptions extends ServerOptions, Named {
  readonly everything?: true;
  readonly reason: string;
  readonly until?: string;
  readonly for?: string;
  readonly since?: string;
  readonly revoke?: true;
  readonly dryRun?: true;
  readonly force?: true;
  readonly yes?: true;
  readonly json?: true;
}

export function addAdd(group: Command, shell: Shell, example: string): void {
  const about =
    'from now on, nothing is issued to what is named; once it returns it holds everywhere (needs a role with lockdown: write)';
  const add = addCommand(group, 'add', about, example);
  serverOptions(add)
    .option('--issuer <name>', 'what came by tokens of this issuer')
    .option('--identity <pattern>', 'this identity, such as ci:acme/shop@main; * stands for one segment between : or /')
    .option('--grant <name>', 'what this grant would allow')
    .option('--role <name>', 'what this role would give')
    .option('--credential <name>', 'this credential')
    .option('--store <name>', 'every credential behind which this store is')
    .option('--everything', 'all issuing (of several that are named, all must fit)')
    .requiredOption('--reason <text>', 'why; it stands in the ledger')
    .option('--until <time>', 'when it ends by itself, such as 2026-11-22T18:00:00Z (default: when it is lifted)')
    .option('--for <duration>', 'the same as a duration, such as 2h')
    .option('--since <duration>', 'how far back to look for what was issued (default: 24h, or the longest lease)')
    .option('--revoke', 'revoke all of that which is alive, and say of each what became of it')
    .option('--dry-run', 'say what was issued, and lock nothing')
    .option('--force', 'also with names this server does not know, or where you could not lift it yourself')
    .option('--yes', 'at a terminal, --everything and --revoke only tell what they would do without it')
    .option('--json', 'the answer as it is')
    .action(async (options: AddOptions) => {
      const { terminal } = shell;
      const named = members.filter((member) => options[member] !== undefined);
      if (named.length === 0 && options.everything === undefined)
        throw new Failure(
          exit.usage,
          'nothing is named',
          `one of ${members.map((m) => `--${m}`).join(', ')}, or --everything`,
        );
      checkTimes(options);
      const drastic = options.everything !== undefined || options.revoke !== undefined;
      const asks = drastic && options.yes === undefined && options.dryRun === undefined && isAtTerminal(terminal);
      const server = await connect(options, terminal);
      // Nobody is to believe that everything stands still while it does not.
      const sign = asks || options.dryRun ? 'blastRadius' : 'lockdown';
      const body = await server.call('POST', '/v1/lockdowns', sign, bodyOf(options, asks)).then(
        (answer) => answer.body,
        (error) => {
          throw sign === 'lockdown' ? withHint(error, whetherItHolds) : error;
        },
      );
      if (options.json !== true) terminal.out(answerText(body, terminal.outColumns));
      for (const warning of textsIn(body.warnings)) terminal.err(`warning: ${warning}\n`);
      if (asks && options.json === true) terminal.out(asJson(body));
      if (asks) throw new Failure(exit.usage, 'nothing was done yet', 'run it again with --yes');
      const id = isJsonObject(body.lockdown) ? text(body.lockdown.id) : '';
      const revokes = options.revoke === true && id !== '';
      const run = revokes ? await revokeAll(server, id, options, shell) : undefined;
      if (options.json === true) terminal.out(asJson({ ...body, ...(run && { revoked: revokedOf(run) }) }));
      if (run?.error !== undefined) throw run.error;
    });
}

const whetherItHolds =
  '`hallpass lockdown list` shows whether it holds, and `hallpass lockdown revoke ID` revokes what is alive';

/** @throws Failure */
function checkTimes({ until, for: life, since }: AddOptions): void {
  if (until !== undefined && life !== undefined)
    throw new Failure(exit.usage, '--until and --for do not go together', 'one of them');
  checkInstant('until', until);
  checkDuration('for', life);
  checkDuration('since', since);
}

const isAtTerminal = ({ inIsTerminal, errIsTerminal }: Terminal): boolean => inIsTerminal && errIsTerminal;

function bodyOf(options: AddOptions, dry: boolean): object {
  const { everything, reason, until, for: life, since, force } = options;
  const match = Object.fromEntries(
    members.flatMap((member) => (options[member] === undefined ? [] : [[member, options[member]]])),
  );
  return {
    ...(Object.keys(match).length > 0 && { match }),
    ...(everything && { everything }),
    reason,
    ...(until !== undefined && { until }),
    ...(life !== undefined && { for: life }),
    ...(since !== undefined && { since }),
    ...(force && { force }),
    ...((dry || options.dryRun) && { dryRun: true }),
  };
}

function answerText(body: JsonObject, columns: number | undefined): string {
  const { lockdown, blastRadius } = body;
  const locked = isJsonObject(lockdown)
    ? `locked down: ${whatOf(lockdown.match)}, until ${cell(lockdown.until ?? 'it is lifted')}\n` +
      `id ${cell(lockdown.id)}, index ${cell(body.index)}, epoch ${cell(body.epoch)}\n`
    : '';
  return locked + (isJsonObject(blastRadius) ? radiusText(blastRadius, columns) : '');
}
