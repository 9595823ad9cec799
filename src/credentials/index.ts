import type { PlugIn } from '../lib/catalog.ts';
import type { AssertionTerms } from '../sessions/session.ts';
import { awsRdsIam } from './aws-rds-iam.ts';
import { awsRole } from './aws-role.ts';
import { azureToken } from './azure-token.ts';
import { githubToken } from './github-token.ts';
import { googleToken } from './google-token.ts';
import { jwt } from './jwt.ts';
import type { Credential, KindModule, TokenExchange } from './kind.ts';
import { kubernetesToken } from './kubernetes-token.ts';
import { mysql } from './mysql.ts';
import { postgres } from './postgres.ts';
import { redis } from './redis.ts';
import { secret } from './secret.ts';
import { ssh } from './ssh.ts';
import type { Places } from './target-mark.ts';
import { vault } from './vault.ts';
import { x509 } from './x509.ts';

/** A kind says without being loaded how its credentials come to be. */
export type KindPlugIn = PlugIn<KindModule> & {
  readonly made: Credential['made'];
  /** Absent where what is handed over is no token. */
  readonly exchange?: TokenExchange;
  /** How Hallpass proves itself at the target; pure, as the ledger's side computes it again. As of a store. */
  readonly assertion?: (config: unknown) => AssertionTerms | undefined;
  /** Where what this entry makes is ended. Absent where nothing is. Pure: a lease's record has the mark of it. */
  readonly places?: (config: unknown) => Places;
  /** What of this entry is a secret that lives long and that this deployment itself holds, one short line each. */
  readonly holds?: (config: unknown) => readonly string[];
};

/** Every kind of credential Hallpass knows, by its `kind` in the config. */
export const kinds: readonly KindPlugIn[] = [
  secret,
  jwt,
  postgres,
  mysql,
  redis,
  awsRole,
  awsRdsIam,
  googleToken,
  azureToken,
  kubernetesToken,
  githubToken,
  vault,
  x509,
  ssh,
];
