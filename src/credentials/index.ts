import type { PlugIn } from '../lib/catalog.ts';
import { jwt } from './jwt.ts';
import type { Credential, KindModule, TokenExchange } from './kind.ts';
import { postgres } from './postgres.ts';
import { secret } from './secret.ts';

/** A kind says without being loaded how its credentials come to be. */
export type KindPlugIn = PlugIn<KindModule> & {
  readonly made: Credential['made'];
  /** Absent where what is handed over is no token. */
  readonly exchange?: TokenExchange;
};

/** Every kind of credential Hallpass knows, by its `kind` in the config. */
export const kinds: readonly KindPlugIn[] = [secret, jwt, postgres];
