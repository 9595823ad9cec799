import type { PlugIn } from '../lib/catalog.ts';
import { awsKms } from './aws-kms.ts';
import { azureKeyVaultKeys } from './azure-key-vault-keys.ts';
import { googleKms } from './google-kms.ts';
import { local } from './local.ts';
import type { SignerModule } from './signer.ts';
import { vaultTransit } from './vault-transit.ts';

/** Every signer Hallpass knows, by its `kind` in the config. */
export const signers: readonly PlugIn<SignerModule>[] = [local, awsKms, azureKeyVaultKeys, googleKms, vaultTransit];
