import * as s from '../../lib/schema/index.ts';
import { vaultAccess, vaultPathSchema } from '../../sessions/vault-access.ts';

const keyName = s.later(() =>
  s.string().check(s.regex(/^(?!\.{1,2}$)[\w.-]{1,128}$/, 'a key is letters, digits and _.-')),
);

/** Where a transit key is kept, and how to come to it: members of the signer's config entry. */
export const members = {
  ...vaultAccess,
  role: s.later(() => s.string().check(s.regex(/^[\w.-]{1,128}$/, 'a role is letters, digits and _.-'))),
  key: keyName,
  /** Of the transit secrets engine. */
  mount: s.withDefault(vaultPathSchema, 'transit'),
  /** A key that encrypts, where `key` is none that can (EC). */
  wrap: s.optional(keyName),
};

const schema = s.later(() => s.object(members));
export type VaultTransitConfig = s.infer<typeof schema>;
