import { urlSchema } from '../lib/common-schemas.ts';
import * as s from '../lib/schema/index.ts';
import { caSchema } from '../lib/trust.ts';
import { audienceSchema, plainTerms, tokenFileSchema } from './login-schema.ts';
import type { AssertionTerms } from './session.ts';

/** How to come to be a user of an API server: members of every config entry that logs in to one. */
export const kubernetesAccess = {
  server: urlSchema,
  ca: caSchema,
  tokenFile: tokenFileSchema,
  audience: audienceSchema,
};

/** A DNS label (RFC 1123). */
export const namespaceSchema = s.later(() =>
  s.string().check(s.regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'a namespace is lower-case letters, digits and -')),
);

export const kubernetesNever = {
  members: [
    'token',
    'bearertoken',
    'username',
    'password',
    'kubeconfig',
    'clientcertificate',
    'clientkey',
    'cert',
    'key',
  ],
  instead: 'log in by an assertion that the cluster trusts, or with tokenFile',
};

/** Without a projected token Hallpass's own assertion is the bearer, taken by structured authentication. */
export function kubernetesAssertion(entry: unknown): AssertionTerms | undefined {
  const { server, audience, tokenFile } = entry as {
    readonly [member in 'server' | 'audience' | 'tokenFile']?: string;
  };
  return tokenFile === undefined ? plainTerms(audience ?? String(server)) : undefined;
}
