import type { Command } from 'commander';
import { isJsonObject, type Json, type JsonObject } from '../lib/strict-json.ts';
import { exit, Failure } from './failure.ts';
import { connect, findServer, hinted, revokeByHandle, type ServerOptions } from './server.ts';
import { addCommand, anIssuance, type Shell, serverOptions } from './shell.ts';
import { plainJson, shown, table, tableOrBlocks } from './terminal.ts';

/** The server answers alike for a lease that can be ended and for one that cannot, so this says what is true of both. */
const recorded =
  'revocation recorded; what can be ended at its target is ended ' +
  '(a stored secret lives on, a signed token lives until it expires)\n';

interface SweepOptions extends ServerOptions {
  readonly orphans?: boolean;
  readonly json?: boolean;
}

interface ListOptions extends ServerOptions {
  readonly state: string;
  readonly cursor?: string;
  readonly json?: boolean;
}

export function addLease(program: Command, shell: Shell): void {
  const group = addCommand(program, 'lease', 'end what was handed out', `hallpass lease revoke ${anIssuance}`);
  addRevoke(group, shell);
  addList(group, shell);
  addSweep(group, shell);
}

const whichLease =
  'the id of a lease of yours that was not erased, 26 characters; with its handle (hpl_...) no token is needed, and others’ need a role with leases: revoke';

const isHandle = (text: string): boolean => text.startsWith('hpl_');

/** By its handle without a token, or by its id. */
async function revokeOne(lease: string, options: ServerOptions, { terminal }: Shell): Promise<number> {
  if (!isHandle(lease)) {
    const server = await connect(options, terminal);
    const path = `/v1/leases/${encodeURIComponent(lease)}`;
    return (await server.call('DELETE', path, 'nothing').catch(hinted('not_found', whichLease))).status;
  }
  // What is not the text of a handle goes nowhere: the most of it may be one.
  if (!/^hpl_[A-Za-z0-9_-]+$/.test(lease)) throw new Failure(exit.usage, 'this handle is not whole, or not a handle');
  const { url } = await findServer(options.server, terminal);
  if (options.verbose === true) terminal.err(`server: ${url}\ntoken: none, the handle is shown\n`);
  return (await revokeByHandle(terminal, url, '/v1/leases/self', lease, options)).status;
}

/** `lease revoke ID|HANDLE`: 0 when all is done that can be, 75 when recorded and not yet done at the target. */
function addRevoke(group: Command, shell: Shell): void {
  const revoke = addCommand(group, 'revoke <id|handle>', 'revoke one lease', `hallpass lease revoke ${anIssuance}`);
  serverOptions(revoke).action(async (lease: string, options: ServerOptions) => {
    if ((await revokeOne(lease, options, shell)) !== 202) {
      shell.terminal.err(recorded);
      return;
    }
    shell.terminal.err('recorded; not yet done at the target, run it again to retry\n');
    shell.finish(exit.unfinished);
  });
}

/** What whoever keeps the config does about a lease that is not ended for this reason. */
const remedies: ReadonlyMap<string, string> = new Map([
  [
    'credential_gone',
    'the config has this credential no longer, or as another kind: put it back until its leases are ended',
  ],
  [
    'target_changed',
    'the credential’s entry names another server than the lease was made at: put that address back, or give the new server ' +
      'an entry of its own; where it is the same server, list the old address under formerly',
  ],
]);

/** One line for each reason among them that somebody can do something about. */
const remediesFor = (reasons: readonly (Json | undefined)[]): string =>
  [...remedies].flatMap(([reason, what]) => (reasons.includes(reason) ? `${reason}: ${what}\n` : [])).join('');

const headings = ['ID', 'CREDENTIAL', 'ACCOUNT', 'REASON', 'SINCE', 'LAST ATTEMPT'];

/** `lease list`: what ended and is not known to be gone, for identities whose role has `leases: revoke`. */
function addList(group: Command, shell: Shell): void {
  const list = addCommand(
    group,
    'list',
    'what is still to be ended at its target (needs a role with leases: revoke)',
    'hallpass lease list',
  );
  serverOptions(list)
    .option('--state <state>', 'unrevoked: ended, and not known to be gone at the target', 'unrevoked')
    .option('--cursor <cursor>', 'where an earlier page ended')
    .option('--json', 'the answer as it is')
    .action(async ({ state, cursor, json, ...options }: ListOptions) => {
      const server = await connect(options, shell.terminal);
      const query = new URLSearchParams({ state, ...(cursor !== undefined && { cursor }) });
      const { body } = await server.call('GET', `/v1/leases?${query}`, 'items');
      if (json !== true && cursor === undefined && objectsIn(body.items).length === 0)
        shell.terminal.err('nothing is left to be ended\n');
      shell.terminal.out(
        json === true ? `${plainJson(body, 2)}\n` : tableOrBlocks(headings, rowsOf(body), shell.terminal.outColumns),
      );
      if (json !== true) shell.terminal.err(remediesFor(objectsIn(body.items).map(reasonOfLast)));
      if (json !== true && typeof body.next === 'string') shell.terminal.err(`more: --cursor ${shown(body.next)}\n`);
    });
}

const reasonOfLast = ({ failed }: JsonObject): Json | undefined => (isJsonObject(failed) ? failed.reason : undefined);

const rowsOf = (body: JsonObject): string[][] =>
  objectsIn(body.items).map((item) => {
    const { id, credential, account, reason, since } = item;
    return [id, credential, account, reason, since, reasonOfLast(item)].map(cell);
  });

/** `lease sweep`: 0 when nothing is left to be ended, 75 when something could not be. */
function addSweep(group: Command, shell: Shell): void {
  const sweep = addCommand(
    group,
    'sweep',
    'end what is past its time or was given up (needs a role with leases: revoke)',
    'hallpass lease sweep',
  );
  serverOptions(sweep)
    .option('--orphans', 'also remove accounts whose issuance is over or in no ledger (default: name them)')
    .option('--json', 'the report as it is')
    .action(async ({ orphans = false, json, ...options }: SweepOptions) => {
      const server = await connect(options, shell.terminal);
      const { body } = await server.call('POST', '/v1/leases/sweep', 'unrevoked', { orphans });
      shell.terminal.out(json === true ? `${plainJson(body, 2)}\n` : reportOf(body));
      if (json !== true) shell.terminal.err(remediesFor(objectsIn(body.failed).map(({ reason }) => reason)));
      if (body.unrevoked !== 0) shell.finish(exit.unfinished);
    });
}

function reportOf(body: JsonObject): string {
  const failed = objectsIn(body.failed).map(({ id, credential, reason }) => ['still there', id, credential, reason]);
  const orphans = objectsIn(body.orphans).map(({ issuance, credential, state, removed }) => [
    removed === true ? 'removed' : 'orphan',
    issuance,
    credential,
    state === 'unknown' ? 'in no ledger' : 'its issuance is over',
  ]);
  const lines = [...failed, ...orphans].map((line) => line.map(cell));
  return `${cell(body.undone)} ended, ${cell(body.unrevoked)} still to be ended\n${table(lines)}`;
}

const objectsIn = (value: Json | undefined): JsonObject[] => (Array.isArray(value) ? value.filter(isJsonObject) : []);

const cell = (value: Json | undefined): string =>
  value === undefined ? '-' : shown(typeof value === 'string' ? value : JSON.stringify(value));
