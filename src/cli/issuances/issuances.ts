import type { Command } from 'commander';
import { fromUtf8 } from '../../lib/bytes.ts';
import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import { exit, Failure } from '../failure.ts';
import { connect, hinted, openPaging, type ServerOptions, unusable } from '../server.ts';
import { addCommand, anIssuance, type Shell, serverOptions } from '../shell.ts';
import { plainJson, shown, type Terminal } from '../terminal.ts';
import { type FilterOptions, filterOptions, queryOf } from './filters.ts';
import { asStory, chooseFormat, type ItemFormat, itemFormats, itemsIn, type Writer, writerOf } from './formats.ts';
import { recordCount } from './record-count.ts';

interface ListOptions extends FilterOptions {
  readonly all?: boolean;
  readonly format: string;
  readonly json?: boolean;
}

interface ShowOptions extends ServerOptions {
  readonly format: string;
  readonly json?: boolean;
}

const mostOnPage = '1000';
/** Bytes on stdin of what is to be traced. */
const mostTraced = 12_288;

/** `issuances list|show|export|tail|trace`, for identities whose role has `audit: read`, and `audit: trace` for the last. */
export function addIssuances(program: Command, shell: Shell): void {
  const group = addCommand(program, 'issuances', 'read the ledger as an auditor', 'hallpass issuances list --type "*"');
  addList(group, shell);
  addShow(group, shell);
  addExport(group, shell);
  addTail(group, shell);
  addTrace(group, shell);
}

function addList(group: Command, { terminal }: Shell): void {
  const about = 'the newest records first (needs a role with audit: read)';
  const list = addCommand(group, 'list', about, 'hallpass issuances list --limit 20');
  formatOption(filterOptions(serverOptions(list)), itemFormats, 'table')
    .option('--limit <n>', 'records per page (default: 100, at most 1000)')
    .option('--cursor <cursor>', 'where an earlier page ended')
    .option('--all', 'all pages')
    .action(async (options: ListOptions) => {
      const format = chooseFormat(options, itemFormats);
      const query = queryOf(options, terminal.now());
      terminal.withoutReader('ends');
      const server = await connect(options, terminal);
      if (options.all === true && options.limit === undefined) query.set('limit', mostOnPage);
      const write = writerOf(format, terminal.outColumns, options.disclosures);
      const nextPage = openPaging();
      let none = options.cursor === undefined;
      let missing: Json | undefined;
      for (;;) {
        const { body } = await server.call('GET', pathOf(query), 'items');
        missing ??= body.missing;
        none &&= itemsIn(body).length === 0;
        if (missing !== undefined && options.all !== true) terminal.err(`${notAll(missing)}\n`);
        if (none && typeof body.next !== 'string') terminal.err('nothing matches\n');
        if (format === 'json' && options.all !== true) return terminal.out(`${plainJson(body, 2)}\n`);
        terminal.out(write.page(itemsIn(body)));
        if (typeof body.next !== 'string') {
          terminal.out(write.end());
          if (missing !== undefined && options.all === true) throw incomplete(missing);
          return;
        }
        if (options.all !== true) return terminal.err(`more: --cursor ${shown(body.next)}\n`);
        query.set('cursor', nextPage(body.next, query.get('cursor')));
      }
    });
}

function addShow(group: Command, { terminal }: Shell): void {
  const show = addCommand(
    group,
    'show <id>',
    'everything of one issuance (needs a role with audit: read)',
    `hallpass issuances show ${anIssuance}`,
  );
  formatOption(serverOptions(show), itemFormats, 'table').action(async (id: string, options: ShowOptions) => {
    const format = chooseFormat(options, itemFormats);
    const server = await connect(options, terminal);
    const hint = 'an id of 26 characters, as `hallpass issuances list` shows it under ISSUANCE';
    const path = `/v1/issuances/${encodeURIComponent(id)}`;
    const { body } = await server.call('GET', path, 'items').catch(hinted('not_found', hint));
    terminal.out(render(body, format, terminal));
  });
}

/** One answer as a whole; as a table each of its items is a block. */
function render(body: JsonObject, format: ItemFormat, { outColumns }: Terminal, ids = false): string {
  if (format === 'table') return asStory(itemsIn(body), ids);
  return format === 'json' ? `${plainJson(body, 2)}\n` : writerOf(format, outColumns).page(itemsIn(body));
}

/** All that fits, as it comes: nothing is kept in memory, here or there. */
function addExport(group: Command, { terminal }: Shell): void {
  const about = 'all records that fit, to stdout (needs a role with audit: read)';
  const command = addCommand(group, 'export', about, 'hallpass issuances export --format csv --from 24h');
  formatOption(filterOptions(serverOptions(command)), itemFormats, 'ndjson')
    .option('--limit <n>', 'records at most (default: all)')
    .action(async (options: ListOptions) => {
      const format = chooseFormat(options, itemFormats);
      const query = queryOf(options, terminal.now());
      const made = format === 'json' || format === 'table';
      const asked = made ? 'ndjson' : format;
      query.set('format', asked);
      terminal.withoutReader('ends');
      const server = await connect(options, terminal);
      const write = made
        ? byLines(writerOf(format, terminal.outColumns, options.disclosures), terminal, server.url)
        : { part: terminal.out, end: () => {} };
      const most = options.limit === undefined ? Number.POSITIVE_INFINITY : Number(options.limit);
      const count = recordCount(asked);
      const part = (bytes: Uint8Array) => {
        count.see(bytes);
        write.part(bytes);
        return terminal.outTaken();
      };
      const nextPage = openPaging();
      let missing: string | null = null;
      for (;;) {
        const had = count.seen();
        const headers = await server.stream(pathOf(query), asked === 'csv' ? 'text/csv' : 'application/x-ndjson', part);
        const next = headers.get('hallpass-next');
        missing ??= headers.get('hallpass-missing');
        // An answer that is not all of it may hold few, or none.
        if (next === null || count.seen() >= most) break;
        const before = query.get('cursor');
        if (options.limit !== undefined) query.set('limit', String(most - count.seen()));
        // What comes nearer to its limit has an end.
        const nearer = options.limit !== undefined && count.seen() > had;
        query.set('cursor', nextPage(next, nearer ? undefined : before));
      }
      write.end();
      if (missing !== null) throw incomplete(missing);
    });
}

const notAll = (missing: Json): string =>
  `this is not all: ${shown(String(missing))} of the ledger's newest entries are in its index not yet`;

const incomplete = (missing: Json) =>
  new Failure(
    exit.negative,
    notAll(missing),
    'ask again in a while; `hallpass ledger index` reads them into it at once',
  );

/** Lines of NDJSON as they come, written as something else; both throw a Failure for what is none, and where a line is cut. */
function byLines(write: Writer, { out }: Terminal, url: string): { part(bytes: Uint8Array): void; end(): void } {
  let rest: Uint8Array = new Uint8Array(0);
  return {
    part(bytes) {
      const all = Buffer.concat([rest, bytes]);
      const end = all.lastIndexOf('\n') + 1;
      rest = all.subarray(end);
      const lines = fromUtf8(all.subarray(0, end)).split('\n').slice(0, -1);
      if (lines.length > 0) out(write.page(lines.map((line) => itemIn(line, url))));
    },
    end() {
      if (rest.length > 0) throw unusable(url, 'cut');
      out(write.end());
    },
  };
}

function itemIn(line: string, url: string): JsonObject {
  try {
    const item: unknown = JSON.parse(line);
    if (isJsonObject(item)) return item;
  } catch {}
  throw unusable(url, 'not JSON');
}

function addTail(group: Command, { terminal }: Shell): void {
  const tail = addCommand(
    group,
    'tail',
    'the newest records, and what comes, until Ctrl-C (needs a role with audit: read)',
    'hallpass issuances tail --type "*"',
  );
  formatOption(filterOptions(serverOptions(tail)), itemFormats, 'table')
    .option('--limit <n>', 'records to begin with', '10')
    .action(async (options: ListOptions) => {
      const format = chooseFormat(options, itemFormats);
      const { followIssuances } = await import('./tail.ts');
      const write = writerOf(format === 'json' ? 'ndjson' : format, terminal.outColumns, options.disclosures);
      terminal.withoutReader('ends');
      const begin = (parts: Pick<Terminal, 'fetch'>) => connect(options, { ...terminal, ...parts });
      await followIssuances(begin, queryOf(options, terminal.now()), write, terminal);
    });
}

/** The value comes by stdin: an argument would be in the shell's history, and in every list of processes. */
function addTrace(group: Command, shell: Shell): void {
  const { terminal } = shell;
  const about =
    'the issuance of what you have in hand: a database user, a session name, a serial number, a token, a leaked value; on stdin (needs a role with audit: trace)';
  const trace = addCommand(group, 'trace', about, 'hallpass get demo-secret --field value | hallpass issuances trace');
  formatOption(serverOptions(trace), itemFormats, 'table').action(async (options: ShowOptions) => {
    const format = chooseFormat(options, itemFormats);
    if (terminal.inIsTerminal) terminal.err('the value, then Ctrl-D: ');
    const value = valueIn(await terminal.input(mostTraced));
    const server = await connect(options, terminal);
    const { body } = await server.call('POST', '/v1/trace', 'items', { value });
    terminal.out(render(body, format, terminal, true));
    const { matched, more, notComparable, missing } = body;
    if (missing !== undefined) terminal.err(`${notAll(missing)}\n`);
    const others =
      typeof notComparable === 'number'
        ? `; ${notComparable} records carry a fingerprint under a key this server does not have`
        : '';
    const rest = more === true ? '; these are the newest, there are more' : '';
    if (typeof matched === 'string') return terminal.err(`matched as ${shown(matched)}${rest}${others}\n`);
    const unseen = more === true ? '; there are records that might be it and were not looked through' : '';
    terminal.err(`nothing matches${unseen}${others}\n`);
    shell.finish(exit.negative);
  });
}

function valueIn(bytes: Uint8Array): string {
  let value: string;
  try {
    value = fromUtf8(bytes);
  } catch {
    throw new Failure(exit.usage, 'what is traced is text in UTF-8');
  }
  if (value.trim() === '') throw new Failure(exit.usage, 'what is to be traced comes by stdin, and nothing came');
  return value;
}

function formatOption(command: Command, formats: readonly string[], fallback: string): Command {
  return command
    .option('--format <format>', formats.join(', '), fallback)
    .option('--json', 'the same as --format json');
}

const pathOf = (query: URLSearchParams): string => `/v1/issuances${query.size === 0 ? '' : `?${query}`}`;
