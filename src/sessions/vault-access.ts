import * as z from 'zod/mini';
import { urlSchema } from '../lib/schema.ts';
import { caSchema } from '../lib/trust.ts';

const maxPath = 512;

/** A path inside a Vault: segments of letters, digits, `_`, `.` and `-`, so that nothing of it needs escaping in a URL. */
export const isVaultPath = (path: string): boolean =>
  path.length <= maxPath && path.split('/').every((part) => /^[\w.-]{1,128}$/.test(part) && !/^\.{1,2}$/.test(part));

/** Where an engine or a namespace is mounted, without slashes around it. */
export const vaultPathSchema = z
  .string()
  .check(z.refine(isVaultPath, 'a path is segments of letters, digits and _.- with / between them'));

/** How to come to a token of a Vault or OpenBao: members of every config entry that logs in to one. */
export const vaultAccess = {
  address: urlSchema,
  /** Mount of a `jwt` or `kubernetes` auth method. */
  auth: z._default(vaultPathSchema, 'jwt'),
  role: z.optional(z.string().check(z.regex(/^[\w.-]{1,128}$/, 'a role is letters, digits and _.-'))),
  namespace: z.optional(vaultPathSchema),
  ca: caSchema,
  /** A projected service account token that is shown in place of an assertion. */
  tokenFile: z.optional(z.string().check(z.minLength(1), z.maxLength(4096))),
};

const accessSchema = z.object(vaultAccess);
export type VaultAccess = z.infer<typeof accessSchema>;
