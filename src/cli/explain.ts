import type { Command } from 'commander';
import { isJsonObject, type JsonObject } from '../lib/strict-json.ts';
import { exit } from './failure.ts';
import { connect, type ServerOptions } from './server.ts';
import { addCommand, type Shell, serverOptions } from './shell.ts';
import { plainJson, shown, table } from './terminal.ts';

interface ExplainOptions extends ServerOptions {
  readonly json?: boolean;
}

/** What was compared, where the server says so (`broker.explain: values`). */
function comparison({ expected, actual }: JsonObject): string {
  if (expected === undefined) return '';
  return `: wants ${JSON.stringify(expected)}${actual === undefined ? '' : `, the token has ${JSON.stringify(actual)}`}`;
}

/** `explain NAME`: would this token get it, by which grant, and if not, what was nearest. */
export function addExplain(program: Command, shell: Shell): void {
  const command = addCommand(
    program,
    'explain <name>',
    'say whether and why a token may have a credential',
    'hallpass explain demo-secret',
  );
  serverOptions(command)
    .option('--json', 'the answer as JSON')
    .action(async (name: string, options: ExplainOptions) => {
      const server = await connect(options, shell.terminal);
      const { body } = await server.call('POST', `/v1/explain/${encodeURIComponent(name)}`, 'decision');
      const allowed = body.decision === 'allow';
      if (options.json === true) shell.terminal.out(`${plainJson(body, 2)}\n`);
      else {
        const by = typeof body.grant === 'string' ? ` by grant ${shown(body.grant)}` : '';
        shell.terminal.out(`${allowed ? 'allow' : 'deny'}${by}\n`);
        const nearest = Array.isArray(body.nearest) ? body.nearest.filter(isJsonObject) : [];
        const rows = nearest.map((miss) => [shown(`${miss.grant}`), shown(`${miss.member}${comparison(miss)}`)]);
        if (rows.length > 0) shell.terminal.out(table([['NEAREST GRANT', 'FAILED ON'], ...rows]));
      }
      if (!allowed) shell.finish(exit.negative);
    });
}
