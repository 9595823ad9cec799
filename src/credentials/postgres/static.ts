import type { Ref } from '../../lib/ref.ts';
import { Secret } from '../../lib/secret.ts';
import { loginOf } from '../admin-login.ts';
import type { KindDeps, ReadCredential } from '../kind.ts';
import type { PostgresConfig } from '../postgres.ts';
import { dataOf } from './data.ts';
import { refuse } from './refuse.ts';

/** Mode `static`: one user, kept in a store as JSON with `username` and `password`; nothing dies when its lease ends. */
export function openStatic(config: PostgresConfig, user: Ref, { read }: KindDeps): ReadCredential {
  return {
    made: 'read',
    async read({ deadline }) {
      const { value, version, store } = await read(user, deadline);
      const login = loginOf(value);
      if (login === undefined) throw refuse('bad_user');
      const { username, password } = login;
      return { data: dataOf(config, username, password), fingerprinted: new Secret(password), store, version };
    },
  };
}
