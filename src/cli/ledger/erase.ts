import type { Command } from 'commander';
import { isJsonObject, type JsonObject } from '../../lib/strict-json.ts';
import { exit, Failure } from '../failure.ts';
import { checkIdentity, checkInstant } from '../option-values.ts';
import { connect, openPaging, type Server, type ServerOptions } from '../server.ts';
import { addCommand, type Shell, serverOptions } from '../shell.ts';
import { plainJson, shown, type Terminal } from '../terminal.ts';

interface EraseOptions extends ServerOptions {
  readonly config?: string;
  readonly identity: string;
  readonly issuer?: string;
  readonly before?: string;
  readonly reason: string;
  readonly dryRun?: true;
  readonly cursor?: string;
  readonly json?: true;
}

/** What all calls of a run did together; `next`: where one that is cut off goes on. */
interface Run {
  next?: string | undefined;
  erased: number;
  /** By why; all that the server knows of. */
  readonly kept: Record<string, number>;
}

/** `ledger erase`: for identities whose role has `audit: erase`. */
export function addErase(group: Command, shell: Shell): void {
  const { terminal } = shell;
  const example = 'hallpass ledger erase --identity ci:acme/shop@main --reason request-17-of-2026 --dry-run';
  const erase = addCommand(
    group,
    'erase',
    'erase who one data subject was, everywhere in the log; its proofs stay good (needs a role with audit: erase)',
    example,
  );
  serverOptions(erase)
    .option(
      '--config <file>',
      'without a server: the config whose ledger it is, beside its server; needs the token as well',
    )
    .requiredOption(
      '--identity <pattern>',
      'the identity, such as ci:acme/shop@main; * stands for a part between : or /',
    )
    .option('--issuer <name>', 'only where it came by this issuer')
    .option('--before <time>', 'only records before it, such as 2026-11-22T12:00:00Z')
    .requiredOption('--reason <text>', 'why; it stays in the ledger, so it should not name the person')
    .option('--dry-run', 'count, and erase nothing')
    .option('--cursor <cursor>', 'where a run was cut off')
    .option('--json', 'the report as JSON')
    .action(async ({ config, cursor, json, ...options }: EraseOptions) => {
      checkIdentity('identity', options.identity);
      checkInstant('before', options.before);
      const run: Run = { erased: 0, kept: {}, next: cursor };
      const dryRun = options.dryRun === true;
      const tell = () => terminal.out(json === true ? `${plainJson({ ...run }, 2)}\n` : describe(run, dryRun));
      const work = (server: Server) =>
        eraseAll(server, options, run, terminal).catch((error) => {
          // What was kept by then no later run counts again.
          if (Object.keys(run.kept).length > 0) tell();
          throw run.next === undefined ? error : cutOff(error, run.next, dryRun);
        });
      if (config === undefined) await work(await connect(options, terminal));
      else {
        const { withOwnServer } = await import('../own-server.ts');
        await withOwnServer(config, terminal, async (url, inside) => {
          await work(await connect({ ...options, server: url }, inside));
        });
      }
      tell();
      const kept = Object.values(run.kept).some((count) => count > 0);
      if (run.erased === 0 && !kept && cursor === undefined) terminal.err(noneHint);
      if (kept) shell.finish(exit.negative);
    });
}

// An erasure that finds nothing may be one that was typed wrong, and nobody would know.
const noneHint =
  'nothing matches: is it as IDENTITY of `hallpass issuances list` shows it, its issuer by the name in the config?\n';

type Asked = Pick<EraseOptions, 'identity' | 'issuer' | 'before' | 'reason' | 'dryRun'>;

async function eraseAll(
  server: Server,
  { identity, issuer, before, reason, dryRun }: Asked,
  run: Run,
  terminal: Terminal,
): Promise<void> {
  const nextPage = openPaging();
  for (;;) {
    const cursor = run.next;
    const asked = { identity, issuer, before, reason, dryRun, cursor };
    const { body } = await server.call('POST', '/v1/erasures', 'erased', asked);
    add(run, body);
    run.next = typeof body.next === 'string' ? body.next : undefined;
    if (run.next === undefined) return;
    nextPage(run.next, cursor);
    if (terminal.errIsTerminal) terminal.err(`${shown(String(body.seen))} of ${shown(String(body.size))} entries\n`);
  }
}

function add(run: Run, { erased, kept }: JsonObject): void {
  run.erased += Number(erased);
  for (const [why, count] of Object.entries(isJsonObject(kept) ? kept : {}))
    run.kept[why] = (run.kept[why] ?? 0) + Number(count);
}

const cutOff = (error: unknown, cursor: string, dryRun: boolean): unknown => {
  const hint = `what came before is ${dryRun ? 'counted' : 'erased'}; go on with --cursor ${shown(cursor)}`;
  return error instanceof Failure ? new Failure(error.code, error.message, hint) : error;
};

const words: Readonly<Record<string, string>> = {
  hold: 'kept by a legal hold',
  min: 'younger than ledger.retain allows',
  live: 'of something made at a target that is not known to be gone',
  lockdown: 'of a lockdown in force: lift it first',
  own: 'your own: another person must erase them',
};

function describe({ erased, kept }: Run, dryRun: boolean): string {
  const found = Object.entries(kept).filter(([, count]) => count > 0);
  const lines = found.map(([why, count]) => `${count} kept: ${words[why] ?? shown(why)}\n`);
  return `${erased} ${dryRun ? 'would be erased' : 'erased'}\n${lines.join('')}`;
}
