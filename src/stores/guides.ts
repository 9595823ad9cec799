import * as awsSecretsManager from './aws-secrets-manager/guide.ts';
import * as azureKeyVault from './azure-key-vault/guide.ts';
import * as googleSecretManager from './google-secret-manager/guide.ts';
import type { PlatformGuide, StoreGuide } from './guide.ts';
import * as kubernetes from './kubernetes/guide.ts';
import * as vault from './vault/guide.ts';

interface Guides {
  readonly guide: StoreGuide;
  readonly platform: PlatformGuide;
}

/** By store kind: what `federation show` prints. Imported by the CLI alone. */
export const guides: Readonly<Record<string, Guides>> = {
  'aws-secrets-manager': awsSecretsManager,
  'azure-key-vault': azureKeyVault,
  'google-secret-manager': googleSecretManager,
  vault,
  kubernetes,
};
