import type { Ref } from '../lib/ref.ts';
import { Secret } from '../lib/secret.ts';
import { loginOf } from './admin-login.ts';
import type { Issued, KindDeps, ReadCredential } from './kind.ts';

/** Mode `static`: one user, kept in a store as JSON with `username` and `password`; nothing dies when its lease ends. */
export function openStoredUser(
  user: Ref,
  { read }: Pick<KindDeps, 'read'>,
  dataOf: (username: string, password: string) => Issued['data'],
  refuse: (reason: string) => Error,
): ReadCredential {
  return {
    made: 'read',
    async read({ deadline }) {
      const { value, version, store } = await read(user, deadline);
      const login = loginOf(value);
      if (login === undefined) throw refuse('bad_user');
      const { username, password } = login;
      return { data: dataOf(username, password), fingerprinted: new Secret(password), store, version };
    },
  };
}
