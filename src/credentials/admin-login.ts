import type { Deadline } from '../lib/deadline.ts';
import type { ReadRef, Ref } from '../lib/ref.ts';
import type { Secret } from '../lib/secret.ts';
import { JsonError, parseStrictJsonObject } from '../lib/strict-json.ts';

export interface AdminLogin {
  readonly username: string;
  readonly password: string;
}

/** What an `admin` REF points to; undefined when it is no login. @throws Refusal as `read` */
export async function readAdminLogin(read: ReadRef, admin: Ref, deadline: Deadline): Promise<AdminLogin | undefined> {
  return loginOf((await read(admin, deadline)).value);
}

/** The login a stored value is: JSON with `username` and `password`; undefined when it is anything else. */
export function loginOf(value: Secret): AdminLogin | undefined {
  try {
    const { username, password } = parseStrictJsonObject(value.reveal());
    const fits = typeof username === 'string' && username !== '' && typeof password === 'string';
    return fits ? { username, password } : undefined;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}
