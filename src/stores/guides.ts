import { guide as azureKeyVault } from './azure-key-vault/guide.ts';
import { guide as googleSecretManager } from './google-secret-manager/guide.ts';
import type { StoreGuide } from './guide.ts';

/** By store kind: what `federation show` prints. Imported by the CLI alone. */
export const guides: Readonly<Record<string, StoreGuide>> = {
  'azure-key-vault': azureKeyVault,
  'google-secret-manager': googleSecretManager,
};
