import type { Command } from 'commander';
import { isJsonObject, type Json, type JsonObject } from '../lib/strict-json.ts';
import { exit, Failure } from './failure.ts';
import { connect, type ServerOptions } from './server.ts';
import { addCommand, anIssuance, type Shell, serverOptions } from './shell.ts';
import { shown, table } from './terminal.ts';

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
  const list = addCommand(group, 'list', 'the newest records first', 'hallpass issuances list --limit 20');
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
      shell.terminal.out(render(body, format));
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
      shell.terminal.out(render(body, format));
    });
}

function chooseFormat({ format, json }: { format: string; json?: boolean }): string {
  const chosen = json === true ? 'json' : format;
  if (!['table', 'json', 'ndjson'].includes(chosen))
    throw new Failure(exit.usage, `unknown format ${JSON.stringify(shown(chosen))}`, 'table, json or ndjson');
  return chosen;
}

function render(body: JsonObject, format: string): string {
  if (format === 'json') return `${JSON.stringify(body, null, 2)}\n`;
  const items = Array.isArray(body.items) ? body.items.filter(isJsonObject) : [];
  if (format === 'ndjson') return items.map((item) => `${JSON.stringify(item)}\n`).join('');
  return table([['INDEX', 'TIME', 'TYPE', 'CREDENTIAL', 'IDENTITY', 'GRANT', 'ISSUANCE'], ...items.map(row)]);
}

function row(item: JsonObject): string[] {
  const record = isJsonObject(item.record) ? item.record : {};
  const disclosed = isJsonObject(item.disclosed) ? item.disclosed : {};
  const identity = isJsonObject(record.identity) ? record.identity : {};
  const who = disclosed.name ?? (identity.issuer === undefined ? undefined : `${identity.issuer} (erased)`);
  const issuance = record.issuance ?? (record.type === 'issuance' ? record.id : undefined);
  return [item.index, record.time, record.type, record.credential, who, record.grant, issuance].map(cell);
}

const cell = (value: Json | undefined) =>
  value === undefined ? '-' : shown(typeof value === 'string' ? value : JSON.stringify(value));
