import { kinds } from '../../credentials/index.ts';
import { presets } from '../../identity/index.ts';
import { commonMembers } from '../../identity/issuer-config.ts';
import { signers } from '../../keys/index.ts';
import { ledgerDrivers } from '../../ledger/index.ts';
import type { PlugIn } from '../../lib/catalog.ts';
import type { Runtime } from '../../lib/platform.ts';
import type * as s from '../../lib/schema/index.ts';
import { sinks } from '../../sinks/index.ts';
import { stores } from '../../stores/index.ts';
import { innerSchema } from './schema-walk.ts';

/** The tables of docs/configuration.md that the catalogs know, in Markdown, by name; made by `npm run generate`. */
export function configTables(): Readonly<Record<string, string>> {
  return {
    signers: plugInTable(signers),
    ledgers: plugInTable(ledgerDrivers),
    issuers: table(
      ['`preset`', 'what', 'members of its own', 'members a grant’s `identity` may name'],
      presets.map(({ name, about, schema, shape }) => [
        `\`${name}\``,
        sentence(about),
        membersOf(schema, ['preset', ...Object.keys(commonMembers)]),
        shape.generic ? '`subject`, `claims`' : listed(Object.keys(shape.members)),
      ]),
    ),
    stores: plugInTable(stores),
    credentials: plugInTable(kinds),
    sinks: plugInTable(sinks),
  };
}

const runtimes: Readonly<Record<Runtime, string>> = { node: 'Node', lambda: 'Lambda', workerd: 'Workers' };

const plugInTable = (catalog: readonly PlugIn<unknown>[]): string =>
  table(
    ['`kind`', 'what', 'members', 'runs on'],
    catalog.map(({ name, about, schema, runtimes: where }) => [
      `\`${name}\``,
      sentence(about),
      membersOf(schema, ['kind']),
      where.map((runtime) => runtimes[runtime]).join(', '),
    ]),
  );

/** `name`, `name?` where it may be left out, with the default where there is one. */
function membersOf(schema: s.Schema, without: readonly string[]): string {
  const [entry] = innerSchema(schema, []) as s.AnySchema[];
  if (entry?.kind !== 'object') throw new Error('a config entry is a mapping');
  const members = Object.entries(entry.shape).filter(([name]) => !without.includes(name));
  return members.map(([name, member]) => memberOf(name, member)).join(', ');
}

function memberOf(name: string, member: s.Schema): string {
  const one = member as s.AnySchema;
  if (one.kind === 'default') return `\`${name}?\` (${String(one.value)})`;
  return one.kind === 'optional' ? `\`${name}?\`` : `\`${name}\``;
}

const listed = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(', ');

const sentence = (text: string) => `${text[0]?.toUpperCase()}${text.slice(1)}`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('');
}
