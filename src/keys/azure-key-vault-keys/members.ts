import * as z from 'zod/mini';
import { later } from '../../lib/schema.ts';
import { identitySchema, isVaultName, vaultSchema } from '../../sessions/azure/cloud.ts';

const keyName = later(() =>
  z.string().check(z.refine(isVaultName, 'expected letters, digits and dashes, at most 127')),
);

/**
 * What a config says of a key in an Azure Key Vault. `wrap` is the RSA key that seals where `key` is not itself one; the
 * login is the platform's own, `identity` as for a store.
 */
export const azureKeyMembers = {
  vault: vaultSchema,
  key: keyName,
  wrap: z.optional(keyName),
  identity: identitySchema,
};

const members = later(() => z.strictObject(azureKeyMembers));

export type AzureKeyConfig = z.infer<typeof members>;
