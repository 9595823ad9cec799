import type { Command } from 'commander';
import { isJsonObject, type Json, type JsonObject } from '../lib/strict-json.ts';
import { exit, Failure } from './failure.ts';
import { checkDuration, checkInstant } from './option-values.ts';
import { connect, hinted, ProblemFailure, type Server, type ServerOptions } from './server.ts';
import { addCommand, type Shell, serverOptions } from './shell.ts';
import { fitted, plainJson, shown, type Terminal, table, tableOrBlocks } from './terminal.ts';

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

interface OtherOptions extends ServerOptions {
  readonly json?: true;
  readonly all?: true;
  readonly reason?: string;
  readonly since?: string;
}

/** `lockdown add|list|lift|revoke`, for identities whose role has `lockdown: write`. */
export function addLockdown(program: Command, shell: Shell): void {
  const example = 'hallpass lockdown add --credential demo-secret --reason drill --for 1h';
  const group = addCommand(program, 'lockdown', 'the kill switch: stop issuing', example);
  addAdd(group, shell, example);
  addList(group, shell);
  addLift(group, shell);
  addRevoke(group, shell);
}

function addAdd(group: Command, shell: Shell, example: string): void {
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

/** @throws Failure */
function checkTimes({ until, for: life, since }: { until?: string; for?: string; since?: string }): void {
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

function addList(group: Command, shell: Shell): void {
  const list = addCommand(group, 'list', 'the lockdowns in force', 'hallpass lockdown list --all');
  serverOptions(list)
    .option('--all', 'also those that ended or were lifted')
    .option('--json', 'the answer as it is')
    .action(async ({ all, json, ...options }: OtherOptions) => {
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

function addLift(group: Command, shell: Shell): void {
  const lift = addCommand(
    group,
    'lift <id>',
    'end a lockdown (needs a role with lockdown: write)',
    `hallpass lockdown lift ${anId} --reason rebuilt`,
  );
  serverOptions(lift)
    .option('--reason <text>', 'why; it stands in the ledger')
    .option('--json', 'the answer as it is')
    .action(async (id: string, { reason, json, ...options }: OtherOptions) => {
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

function addRevoke(group: Command, shell: Shell): void {
  const about =
    'revoke what is alive of what a lockdown in force matches; run it again for what is left (needs a role with lockdown: write)';
  const revoke = addCommand(group, 'revoke <id>', about, `hallpass lockdown revoke ${anId}`);
  serverOptions(revoke)
    .option('--since <duration>', 'how far back to look for what was issued (default: 24h, or the longest lease)')
    .option('--json', 'the answer as it is')
    .action(async (id: string, options: OtherOptions) => {
      checkTimes({ since: options.since });
      const run = await revokeAll(await connect(options, shell.terminal), id, options, shell);
      const tells = run.error === undefined || run.items.length > 0;
      if (options.json === true && tells) shell.terminal.out(asJson(revokedOf(run)));
      if (run.error !== undefined) throw run.error;
    });
}

/** As `lockdown list` shows it, for examples. */
const anId = '01kacv0q2r7xw3m5t9e1h4b6ns';

const whichIds = '`hallpass lockdown list` shows the ids of those in force';

const pathOf = (id: string): string => `/v1/lockdowns/${encodeURIComponent(id)}`;

const outcomes: Readonly<Record<string, string>> = {
  done: 'revoked',
  recorded: 'recorded, not yet done at the target',
  lives_on: 'cannot be revoked',
  failed: 'failed',
  unknown: 'may match: who it was is erased, or its grant is known to another server only',
};

/** How far revoking came: what it was told of each lease, and where it goes on if an error ended it. */
interface RevokeRun {
  readonly items: readonly JsonObject[];
  readonly next?: string | undefined;
  readonly error?: unknown;
}

const revokedOf = ({ items, next }: RevokeRun): object => ({ items, ...(next !== undefined && { next }) });

/**
 * Request by request until nothing is left, each lease on a line as it is told. Leaves 75 where something is not done. What was
 * told by then is given back beside an error, so that whoever prints it first loses nothing.
 */
async function revokeAll(
  server: Server,
  id: string,
  { since, json }: { readonly since?: string; readonly json?: true },
  { terminal, finish }: Shell,
): Promise<RevokeRun> {
  const all: JsonObject[] = [];
  const goOn = `later: hallpass lockdown revoke ${shown(id)}`;
  let cursor: string | undefined;
  try {
    for (let idle = 0; idle < mostIdle; ) {
      const asked = { ...(since !== undefined && { since }), ...(cursor !== undefined && { cursor }) };
      const { body } = await server
        .call('POST', `${pathOf(id)}/revoke`, 'items', asked)
        .catch(hinted('not_found', whichIds));
      const items = objectsIn(body.items);
      all.push(...items);
      if (json !== true) terminal.out(itemsText(items, terminal.outColumns));
      const next = typeof body.next === 'string' ? body.next : undefined;
      if (next === undefined) return { items: told(all, { terminal, finish }) };
      idle = items.length === 0 && next === cursor ? idle + 1 : 0;
      cursor = next;
    }
    throw new Failure(exit.unreachable, 'the server gets no further', goOn);
  } catch (error) {
    const bare = error instanceof Failure && error.hint === undefined;
    const told = bare ? new Failure(error.code, error.message, goOn) : withHint(error, goOn);
    return { items: all, next: cursor, error: told };
  }
}

/** Where no answer came, or the ledger's did not, what helps then, behind what is said of that. */
function withHint(error: unknown, hint: string): unknown {
  if (!(error instanceof Failure) || error.code !== exit.unreachable) return error;
  if (error.hint === hint || (error.hint === undefined && !(error instanceof ProblemFailure))) return error;
  return new Failure(error.code, error.message, [error.hint, hint].filter((one) => one !== undefined).join('; '));
}

const whetherItHolds =
  '`hallpass lockdown list` shows whether it holds, and `hallpass lockdown revoke ID` revokes what is alive';

/** Answers in a row that did nothing. */
const mostIdle = 5;

function told(items: readonly JsonObject[], { terminal, finish }: Shell): readonly JsonObject[] {
  const counts = Object.keys(outcomes).map((outcome) => ({
    outcome,
    count: items.filter((item) => item.outcome === outcome).length,
  }));
  const said = counts.filter(({ count }) => count > 0).map(({ outcome, count }) => `${count} ${outcomes[outcome]}`);
  terminal.err(`${said.length === 0 ? 'nothing was alive' : said.join('; ')}\n`);
  const many = (one: string) => counts.find(({ outcome }) => outcome === one)?.count ?? 0;
  if (many('recorded') > 0) terminal.err('what is recorded is tried until it is gone: `hallpass lease list`\n');
  if (many('failed') > 0) terminal.err('what failed is tried when you run it again: `hallpass lockdown revoke ID`\n');
  if (many('recorded') > 0 || many('failed') > 0) finish(exit.unfinished);
  return items;
}

/** A line for each lease as it is told, or a block where one of them is wider than the terminal. */
function itemsText(items: readonly JsonObject[], columns: number | undefined): string {
  const rows = items.map(itemRow);
  const lines = rows.map((row) => row.join('  '));
  if (columns === undefined || lines.every((line) => line.length <= columns))
    return lines.map((line) => `${line}\n`).join('');
  return tableOrBlocks(['ID', 'CREDENTIAL', 'ACCOUNT', 'IDENTITY', 'OUTCOME'], rows, columns);
}

function itemRow({ outcome, id, credential, account, identity, expiresAt, reason, stored }: JsonObject): string[] {
  const said = outcomes[text(outcome)] ?? text(outcome);
  const end = stored === true ? ', stays good until it is rotated' : `, lives until ${cell(expiresAt)}`;
  const until = outcome === 'lives_on' ? end : '';
  const why = reason === undefined ? '' : ` (${cell(reason)})`;
  return [...[id, credential, account, identity].map(cell), `${shown(said)}${until}${why}`];
}

function answerText(body: JsonObject, columns: number | undefined): string {
  const { lockdown, blastRadius } = body;
  const locked = isJsonObject(lockdown)
    ? `locked down: ${whatOf(lockdown.match)}, until ${cell(lockdown.until ?? 'it is lifted')}\n` +
      `id ${cell(lockdown.id)}, index ${cell(body.index)}, epoch ${cell(body.epoch)}\n`
    : '';
  return locked + (isJsonObject(blastRadius) ? radiusText(blastRadius, columns) : '');
}

const countHeadings = ['ISSUED', 'ALIVE', 'REVOCABLE', 'LIVES UNTIL'];

function radiusText(radius: JsonObject, columns: number | undefined): string {
  const { since, issued, alive, revocable, livesUntil, complete, from, unknown, identitiesTotal } = radius;
  const lives = livesUntil === undefined ? '' : `, the others live until ${cell(livesUntil)} at the latest`;
  const lines = [
    `since ${cell(since)}: ${cell(issued)} issued, ${cell(alive)} alive, ${cell(revocable)} of them revocable${lives}`,
  ];
  if (complete === false && from === undefined)
    lines.push('there was no time to look at all of it: more was issued than is counted here, or may have been');
  else if (complete === false)
    lines.push(`this counts what was issued since ${cell(from)}: there was no time for more`);
  if (unknown !== 0)
    lines.push(`${cell(unknown)} more may match: who it was is erased, or another server knows the grant`);
  const counts = (row: JsonObject) => [row.issued, row.alive, row.revocable, row.livesUntil];
  const credentials = objectsIn(radius.credentials).map((row) => [row.credential, row.kind, ...counts(row)].map(cell));
  const identities = objectsIn(radius.identities).map((row) =>
    [row.identity ?? `${text(row.issuer)} (erased)`, ...counts(row)].map(cell),
  );
  const more = Number(identitiesTotal) - identities.length;
  const counted = (rows: readonly string[][]) => table(fitted(rows, 0, columns));
  return [
    `${lines.join('\n')}\n`,
    ...(credentials.length > 0 ? ['\n', counted([['CREDENTIAL', 'KIND', ...countHeadings], ...credentials])] : []),
    ...(identities.length > 0 ? ['\n', counted([['IDENTITY', ...countHeadings], ...identities])] : []),
    ...(more > 0 ? [`and ${more} identities more\n`] : []),
  ].join('');
}

/** What a lockdown stops, as its members; an erased one may stop anything. */
function whatOf(match: Json | undefined): string {
  if (!isJsonObject(match)) return 'everything (what it named is erased)';
  const named = Object.entries(match).map(([member, value]) => `${member} ${text(value)}`);
  return named.length === 0 ? 'everything' : shown(named.join(', '));
}

const asJson = (value: object): string => `${plainJson(value, 2)}\n`;

const objectsIn = (value: Json | undefined): JsonObject[] => (Array.isArray(value) ? value.filter(isJsonObject) : []);

const textsIn = (value: Json | undefined): string[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === 'string').map(shown) : [];

const text = (value: Json | undefined): string =>
  value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);

const cell = (value: Json | undefined): string => (value === undefined ? '-' : shown(text(value)));
