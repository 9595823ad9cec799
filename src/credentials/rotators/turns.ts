import { toBase64Url } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import { Secret } from '../../lib/secret.ts';
import { type AdminLogin, loginOf, readAdminLogin } from '../admin-login.ts';
import type { RotatorDeps, TurnsConfig } from '../rotator.ts';

const passwordBytes = 32;

/** Who is current, and who is next: always the other of the two. @throws Refusal store_failed, bad_value */
export function nextLogin(
  { users: [a, b], kind }: TurnsConfig,
  current: Secret | undefined,
  random: RotatorDeps['random'],
) {
  const now = current === undefined ? undefined : loginOf(current);
  // What is stored and is neither of the two would be lost: somebody must look.
  if (current !== undefined && (now === undefined || (now.username !== a && now.username !== b)))
    throw new Refusal('store_failed', 'bad_value', { facts: { kind, reason: 'bad_value' } });
  const username = now?.username === a ? b : a;
  return new Secret(JSON.stringify({ username, password: toBase64Url(random(passwordBytes)) }));
}

/** Who changes a password: the configured admin, or the user that is current. @throws Refusal store_failed */
export async function changer(
  { admin, kind }: TurnsConfig,
  current: Secret | undefined,
  { read }: RotatorDeps,
  deadline: Deadline,
): Promise<AdminLogin> {
  const login = admin === undefined ? current && loginOf(current) : await readAdminLogin(read, admin, deadline);
  if (login === undefined) throw new Refusal('store_failed', 'bad_admin', { facts: { kind, reason: 'bad_admin' } });
  return login;
}

/** A login that `nextLogin` made. */
export function madeLogin(next: Secret): AdminLogin {
  const login = loginOf(next);
  if (login === undefined) throw new Refusal('internal', 'no_login');
  return login;
}
