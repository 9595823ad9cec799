import * as s from '../../lib/schema/index.ts';
import { identitySchema, isVaultName, vaultSchema } from '../../sessions/azure/cloud.ts';

const keyName = s.later(() =>
  s.string().check(s.refine(isVaultName, 'expected letters, digits and dashes, at most 127')),
);

/**
 * What a config says of a key in an Azure Key Vault. `wrap` is the RSA key that seals where `key` is not itself one; the
 * login is the platform's own, `identity` as for a store.
 */
export const azureKeyMembers = {
  vault: vaultSchema,
  key: keyName,
  wrap: s.optional(keyName),
  identity: identitySchema,
};

const members = s.later(() => s.strictObject(azureKeyMembers));

export type AzureKeyConfig = s.infer<typeof members>;
