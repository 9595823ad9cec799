import { urlSchema } from '../lib/common-schemas.ts';
import type { Fault } from '../lib/fault.ts';
import * as s from '../lib/schema/index.ts';
import { caSchema } from '../lib/trust.ts';
import { plainTerms, tokenFileSchema } from './login-schema.ts';
import type { AssertionTerms } from './session.ts';

const maxPath = 512;

/** A path inside a Vault: segments of letters, digits, `_`, `.` and `-`, so that nothing of it needs escaping in a URL. */
export const isVaultPath = (path: string): boolean =>
  path.length <= maxPath && path.split('/').every((part) => /^[\w.-]{1,128}$/.test(part) && !/^\.{1,2}$/.test(part));

/** Where an engine or a namespace is mounted, without slashes around it. */
export const vaultPathSchema = s.later(() =>
  s.string().check(s.refine(isVaultPath, 'a path is segments of letters, digits and _.- with / between them')),
);

/** How to come to a token of a Vault or OpenBao: members of every config entry that logs in to one. */
export const vaultAccess = {
  address: urlSchema,
  /** Mount of a `jwt` or `kubernetes` auth method. */
  auth: s.withDefault(vaultPathSchema, 'jwt'),
  role: s.optional(s.later(() => s.string().check(s.regex(/^[\w.-]{1,128}$/, 'a role is letters, digits and _.-')))),
  namespace: s.optional(vaultPathSchema),
  ca: caSchema,
  tokenFile: tokenFileSchema,
};

const accessSchema = s.later(() => s.object(vaultAccess));
export type VaultAccess = s.infer<typeof accessSchema>;

export const vaultNever = {
  members: ['token', 'roleid', 'secretid', 'username', 'password'],
  instead: 'log in with role, or with tokenFile',
};

/** With a role, and no projected token, Hallpass shows its own assertion. */
export function vaultAssertion(entry: unknown): AssertionTerms | undefined {
  const { role, tokenFile, address, audience } = entry as VaultAccess & { readonly audience?: string };
  return role === undefined || tokenFile !== undefined ? undefined : plainTerms(audience ?? address);
}

/** What of an entry would not log in, or not everywhere. */
export function vaultLoginFaults(entry: unknown): Fault[] {
  const { auth, role, tokenFile } = entry as VaultAccess;
  if (auth === 'kubernetes' && role !== undefined && tokenFile === undefined) {
    const message =
      'a kubernetes auth method takes service account tokens, and with a role alone an assertion is shown';
    return [{ path: ['auth'], message, hint: 'add tokenFile, or name the path of a jwt auth method' }];
  }
  if (role !== undefined || tokenFile !== undefined) return [];
  const message = 'no role and no tokenFile: outside a cluster there is nothing to log in with';
  return [{ path: [], warning: true, message, hint: 'with a role it is our own assertion that logs in' }];
}
