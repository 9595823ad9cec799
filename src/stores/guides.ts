import { guide as awsSecretsManager } from './aws-secrets-manager/guide.ts';
import { guide as azureKeyVault } from './azure-key-vault/guide.ts';
import { guide as googleSecretManager } from './google-secret-manager/guide.ts';
import type { StoreGuide } from './guide.ts';
import { guide as kubernetes } from './kubernetes/guide.ts';
import { guide as vault } from './vault/guide.ts';

/** By store kind: what `federation show` prints. Imported by the CLI alone. */
export const guides: Readonly<Record<string, StoreGuide>> = {
  'aws-secrets-manager': awsSecretsManager,
  'azure-key-vault': azureKeyVault,
  'google-secret-manager': googleSecretManager,
  vault,
  kubernetes,
};
