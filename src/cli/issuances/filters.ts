import type { Command } from 'commander';
import { instant, parseDuration, parseInstant } from '../../lib/time.ts';
import { exit, Failure } from '../failure.ts';
import { checkCount } from '../option-values.ts';
import type { ServerOptions } from '../server.ts';
import { shown } from '../terminal.ts';

const members = {
  type: 'record type, or * for all (default: issuance)',
  identity: 'who it was, such as ci:acme/shop@main; * stands for characters of one segment between : or /',
  issuer: "the issuer's name in the config",
  credential: 'the name in the config',
  kind: 'kind of credential',
  store: 'the name in the config',
  grant: 'the grant that allowed it',
  reason: 'why it was denied, failed or was revoked',
  account: 'what the target system knows it by',
  token: 'digest of the workload token; never a token',
  fingerprint: 'keyed fingerprint of the value, as a record has it',
  trace: 'W3C trace id',
} as const;

type Member = keyof typeof members;

export interface FilterOptions extends ServerOptions, Partial<Record<Member, string>> {
  readonly from?: string;
  readonly to?: string;
  readonly limit?: string;
  readonly cursor?: string;
  readonly disclosures: boolean;
}

export function filterOptions(command: Command): Command {
  for (const [member, about] of Object.entries(members)) command.option(`--${member} <${placeOf(member)}>`, about);
  return command
    .option('--from <time>', 'not before; an instant such as 2026-11-22T12:00:00Z, or how long ago, such as 2h')
    .option('--to <time>', 'before; likewise')
    .option('--no-disclosures', 'leave out what is disclosed of persons');
}

const placeOf = (member: string): string =>
  ({ type: 'type', identity: 'pattern', reason: 'word', token: 'digest', trace: 'id' })[member] ?? 'name';

/** The query of `GET /v1/issuances`. @throws Failure */
export function queryOf(options: FilterOptions, now: number): URLSearchParams {
  checkToken(options.token);
  checkCount('limit', options.limit);
  const query = new URLSearchParams();
  for (const member of Object.keys(members) as Member[])
    if (options[member] !== undefined) query.set(member, options[member]);
  for (const end of ['from', 'to'] as const) {
    const text = options[end];
    if (text !== undefined) query.set(end, instantIn(text, end, now));
  }
  if (!options.disclosures) query.set('disclosures', 'false');
  if (options.limit !== undefined) query.set('limit', options.limit);
  if (options.cursor !== undefined) query.set('cursor', options.cursor);
  return query;
}

// What was typed is not said again: it may be a token.
function checkToken(text: string | undefined): void {
  if (text === undefined || /^[A-Za-z0-9_-]{43}$/.test(text)) return;
  const digest = 'the digest is 43 characters of base64url, as a record has it in `token`';
  if (text.includes('.'))
    throw new Failure(
      exit.usage,
      '--token takes the digest of a token, never a token: it would be sent in a URL',
      'with the token on stdin: hallpass issuances trace',
    );
  throw new Failure(exit.usage, '--token is no digest of a token', digest);
}

function instantIn(text: string, option: string, now: number): string {
  if (parseInstant(text) !== undefined) return text;
  const ago = parseDuration(text);
  if (ago !== undefined) return instant(now - ago * 1000);
  throw new Failure(
    exit.usage,
    `--${option} ${JSON.stringify(shown(text))} is no time`,
    'an instant such as 2026-11-22T12:00:00Z, or how long ago, such as 2h',
  );
}
