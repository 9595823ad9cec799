import { hmacSha256, toBase64Url, toUtf8 } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import { Secret } from '../../lib/secret.ts';
import { type AdminLogin, loginOf, readAdminLogin } from '../admin-login.ts';
import type { RotatorDeps, TurnsConfig } from '../rotator.ts';

const passwordBytes = 32;

/** The same for all who rotate these two, in whatever order they name them. */
export const lockOf = ({ users }: TurnsConfig): string => `rotate ${[...users].sort().join(' ')}`;

/**
 * The login of the other of the two, with the password that follows on the current value; nobody knows it who does not
 * know both that value and `broker.secret`.
 *
 * @throws Refusal store_failed, bad_value where neither of the two is stored: it would be lost, and somebody must look
 */
export async function nextLogin(
  config: TurnsConfig,
  current: Secret | undefined,
  { derive, random }: Pick<RotatorDeps, 'derive' | 'random'>,
  deadline: Deadline,
): Promise<Secret> {
  const username = nextUser(config, current);
  const password =
    current === undefined
      ? random(passwordBytes)
      : hmacSha256(await derive(deadline), Buffer.concat([toUtf8(`${username} follows `), current.reveal()]));
  return new Secret(JSON.stringify({ username, password: toBase64Url(password) }));
}

function nextUser({ users: [a, b], kind }: TurnsConfig, current: Secret | undefined): string {
  const now = current === undefined ? b : loginOf(current)?.username;
  if (now !== a && now !== b) throw refuse(kind, 'bad_value', 'What is stored is not a login of one of the two users.');
  return now === a ? b : a;
}

/** Who changes a password: the configured admin, or the user that is current. @throws Refusal store_failed, not_found */
export async function changer(
  config: TurnsConfig,
  current: Secret | undefined,
  { read }: Pick<RotatorDeps, 'read'>,
  deadline: Deadline,
): Promise<AdminLogin> {
  const { admin, kind } = config;
  const next = nextUser(config, current);
  const login = admin === undefined ? current && loginOf(current) : await readAdminLogin(read, admin, deadline);
  if (login !== undefined && login.username !== next) return login;
  if (login !== undefined)
    throw refuse(kind, 'bad_admin', 'The admin is one of the two users: its own password would change.');
  if (admin !== undefined) throw refuse(kind, 'bad_admin', 'The admin is not JSON with username and password.');
  throw new Refusal('not_found', 'nothing_stored', {
    detail: 'Nothing is stored yet that could change a password.',
    hint: 'Put the login of one of the two users there, or name an admin.',
    facts: { kind },
  });
}

/** A login that `nextLogin` made. */
export function madeLogin(next: Secret): AdminLogin {
  const login = loginOf(next);
  if (login === undefined) throw new Refusal('internal', 'no_login');
  return login;
}

const refuse = (kind: string, reason: string, detail: string): Refusal =>
  new Refusal('store_failed', reason, { detail, facts: { kind, reason } });
