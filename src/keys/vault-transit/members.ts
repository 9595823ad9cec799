import * as z from 'zod/mini';
import { later } from '../../lib/schema.ts';
import { vaultAccess, vaultPathSchema } from '../../sessions/vault-access.ts';

const keyName = later(() =>
  z.string().check(z.regex(/^(?!\.{1,2}$)[\w.-]{1,128}$/, 'a key is letters, digits and _.-')),
);

/** Where a transit key is kept, and how to come to it: members of the signer's config entry. */
export const members = {
  ...vaultAccess,
  role: later(() => z.string().check(z.regex(/^[\w.-]{1,128}$/, 'a role is letters, digits and _.-'))),
  key: keyName,
  /** Of the transit secrets engine. */
  mount: z._default(vaultPathSchema, 'transit'),
  /** A key that encrypts, where `key` is none that can (EC). */
  wrap: z.optional(keyName),
};

const schema = later(() => z.object(members));
export type VaultTransitConfig = z.infer<typeof schema>;
