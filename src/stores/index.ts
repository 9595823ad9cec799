import { awsSecretsManager } from './aws-secrets-manager.ts';
import { azureKeyVault } from './azure-key-vault.ts';
import { env } from './env.ts';
import { googleSecretManager } from './google-secret-manager.ts';
import { kubernetes } from './kubernetes.ts';
import { local } from './local.ts';
import type { StorePlugIn } from './store.ts';
import { vault } from './vault.ts';

/** Every store Hallpass knows, by its `kind` in the config. */
export const stores: readonly StorePlugIn[] = [
  local,
  env,
  awsSecretsManager,
  azureKeyVault,
  googleSecretManager,
  vault,
  kubernetes,
];
