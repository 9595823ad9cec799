import type { Command } from 'commander';
import { isJsonObject, type Json, type JsonObject } from '../lib/strict-json.ts';
import { exit, Failure } from './failure.ts';
import { connect, type ServerOptions } from './server.ts';
import { addCommand, anIssuance, type Shell, serverOptions } from './shell.ts';
import { fitted, shown, table } from './terminal.ts';

interface ListOptions extends ServerOptions {
  readonly type?: string;
  readonly limit?: string;
  readonly cursor?: string;
  readonly format: string;
  readonly json?: boolean;
}

interface ShowOptions extends ServerOptions {
  readonly format: string;
  readonly json?: boolean;
}

const formatOption = ['--format <format>', 'table, json or ndjson', 'table'] as const;

/** `issuances list` and `issuances show ID`, for identities whose role has `audit: read`. */
export function addIssuances(program: Command, shell: Shell): void {
  const group = addCommand(program, 'issuances', 'read the ledger as an auditor', 'hallpass issuances list --type "*"');
  const list = addCommand(
    group,
    'list',
    'the newest records first (needs a role with audit: read)',
    'hallpass issuances list --limit 20',
  );
  serverOptions(list)
    .option('--type <type>', 'record type, or * for all (default: issuance)')
    .option('--limit <n>', 'records per page (default: 100, at most 1000)')
    .option('--cursor <cursor>', 'where an earlier page ended')
    .option(...formatOption)
    .option('--json', 'the same as --format json')
    .action(async (options: ListOptions) => {
      const format = chooseFormat(options);
      const server = await connect(options, shell.terminal);
      const query = new URLSearchParams();
      for (const name of ['type', 'limit', 'cursor'] as const)
        if (options[name] !== undefined) query.set(name, options[name]);
      const { body } = await server.call('GET', `/v1/issuances${query.size === 0 ? '' : `?${query}`}`);
      shell.terminal.out(render(body, format, asTable(shell.terminal.outColumns)));
      if (format !== 'json' && typeof body.next === 'string')
        shell.terminal.err(`more: --cursor ${shown(body.next)}\n`);
    });
  const show = addCommand(group, 'show <id>', 'everything of one issuance', `hallpass issuances show ${anIssuance}`);
  serverOptions(show)
    .option(...formatOption)
    .option('--json', 'the same as --format json')
    .action(async (id: string, options: ShowOptions) => {
      const format = chooseFormat(options);
      const server = await connect(options, shell.terminal);
      const { body } = await server.call('GET', `/v1/issuances/${encodeURIComponent(id)}`);
      shell.terminal.out(render(body, format, asStory));
    });
}

function chooseFormat({ format, json }: { format: string; json?: boolean }): string {
  const chosen = json === true ? 'json' : format;
  if (!['table', 'json', 'ndjson'].includes(chosen))
    throw new Failure(exit.usage, `unknown format ${JSON.stringify(shown(chosen))}`, 'table, json or ndjson');
  return chosen;
}

type Draw = (items: readonly JsonObject[]) => string;

function render(body: JsonObject, format: string, draw: Draw): string {
  if (format === 'json') return `${JSON.stringify(body, null, 2)}\n`;
  const items = Array.isArray(body.items) ? body.items.filter(isJsonObject) : [];
  return format === 'ndjson' ? items.map((item) => `${JSON.stringify(item)}\n`).join('') : draw(items);
}

const headings = ['INDEX', 'TIME', 'TYPE', 'CREDENTIAL', 'GRANT', 'REASON', 'IDENTITY', 'ISSUANCE'];

/** One line for each record; on a terminal the identity gives way, and `show` has it in full. */
const asTable =
  (columns: number | undefined): Draw =>
  (items) =>
    table(fitted([headings, ...items.map(row)], headings.indexOf('IDENTITY'), columns));

function row(item: JsonObject): string[] {
  const { record, who, issuance } = partsOf(item);
  const { time, type, credential, grant, reason } = record;
  return [item.index, time, type, credential, grant, reason, who, issuance].map((value) => cell(value));
}

/** One block for each record, the oldest first: the story in the order it happened. */
const asStory: Draw = (items) =>
  [...items]
    .sort((a, b) => Number(a.index) - Number(b.index))
    .map(block)
    .join('\n');

function block(item: JsonObject): string {
  const { record, disclosed, who } = partsOf(item);
  const { expiresAt, ttl, account, revocable } = objectOf(record.lease);
  const lease =
    record.lease === undefined ? undefined : `until ${expiresAt} (${ttl} s, ${revocable ? '' : 'not '}revocable)`;
  const lines: [string, Json | undefined][] = [
    ['credential', record.credential],
    ['grant', record.grant],
    ['reason', record.reason],
    ['count', record.count],
    ['lease', lease],
    ['account', account],
    ['identity', who],
    ['why', disclosed.why],
    ['address', disclosed.address],
  ];
  const known = lines.filter(([, value]) => value !== undefined).map(([name, value]) => [`  ${name}`, cell(value)]);
  return `${cell(item.index)}  ${cell(record.time)}  ${cell(record.type)}\n${table(known)}`;
}

function partsOf(item: JsonObject) {
  const record = objectOf(item.record);
  const disclosed = objectOf(item.disclosed);
  const { issuer } = objectOf(record.identity);
  const who = disclosed.name ?? (issuer === undefined ? undefined : `${issuer} (erased)`);
  return { record, disclosed, who, issuance: record.issuance ?? (record.type === 'issuance' ? record.id : undefined) };
}

const objectOf = (value: Json | undefined): JsonObject => (isJsonObject(value) ? value : {});

const cell = (value: Json | undefined) =>
  value === undefined ? '-' : shown(typeof value === 'string' ? value : JSON.stringify(value));
