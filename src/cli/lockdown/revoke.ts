import type { Command } from 'commander';
import type { JsonObject } from '../../lib/strict-json.ts';
import { exit, Failure } from '../failure.ts';
import { checkDuration } from '../option-values.ts';
import { connect, hinted, type Server, type ServerOptions } from '../server.ts';
import { addCommand, type Shell, serverOptions } from '../shell.ts';
import { shown } from '../terminal.ts';
import { anId, pathOf, whichIds, withHint } from './hints.ts';
import { itemsText, told } from './outcomes.ts';
import { asJson, objectsIn } from './shown.ts';

interface RevokeOptions extends ServerOptions {
  readonly json?: true;
  readonly since?: string;
}

export function addRevoke(group: Command, shell: Shell): void {
  const about =
    'revoke what is alive of what a lockdown in force matches; run it again for what is left (needs a role with lockdown: write)';
  const revoke = addCommand(group, 'revoke <id>', about, `hallpass lockdown revoke ${anId}`);
  serverOptions(revoke)
    .option('--since <duration>', 'how far back to look for what was issued (default: 24h, or the longest lease)')
    .option('--json', 'the answer as it is')
    .action(async (id: string, options: RevokeOptions) => {
      checkDuration('since', options.since);
      const run = await revokeAll(await connect(options, shell.terminal), id, options, shell);
      const tells = run.error === undefined || run.items.length > 0;
      if (options.json === true && tells) shell.terminal.out(asJson(revokedOf(run)));
      if (run.error !== undefined) throw run.error;
    });
}

/** How far revoking came: what it was told of each lease, and where it goes on if an error ended it. */
export interface RevokeRun {
  readonly items: readonly JsonObject[];
  readonly next?: string | undefined;
  readonly error?: unknown;
}

export const revokedOf = ({ items, next }: RevokeRun): object => ({ items, ...(next !== undefined && { next }) });

/**
 * Request by request until nothing is left, each lease on a line as it is told. Leaves 75 where something is not done. What was
 * told by then is given back beside an error, so that whoever prints it first loses nothing.
 */
export async function revokeAll(
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

/** Answers in a row that did nothing. */
const mostIdle = 5;
