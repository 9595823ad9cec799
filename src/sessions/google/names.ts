import { urlSchema } from '../../lib/common-schemas.ts';
import type { Fault } from '../../lib/fault.ts';
import * as s from '../../lib/schema/index.ts';
import type { AssertionTerms } from '../session.ts';

/** A provider of a workload identity pool by its resource name, without `//iam.googleapis.com/` before it. */
export const providerSchema = s.later(() =>
  s
    .string()
    .check(
      s.regex(
        /^projects\/[1-9][0-9]{0,19}\/locations\/global\/workloadIdentityPools\/[a-z0-9-]{4,32}\/providers\/[a-z0-9-]{4,32}$/,
        'expected projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER and nothing before it',
      ),
    ),
);

/** A service account by its address. */
export const accountSchema = s.later(() =>
  s
    .string()
    .check(
      s.maxLength(255),
      s.regex(
        /^[a-z0-9][a-z0-9-]{0,62}@[a-z0-9.-]{1,180}\.gserviceaccount\.com$/,
        'expected the address of a service account, NAME@PROJECT.iam.gserviceaccount.com',
      ),
    ),
);

/** Where an API is called in place of its public address: scheme, host and port, as the paths are Google's. */
export const originSchema = urlSchema.check(
  s.refine((text) => !URL.canParse(text) || new URL(text).origin === text, 'expected a URL without a path'),
);

export const audienceSchema = s.optional(
  s.later(() =>
    s.string().check(s.regex(/^[\w.~:/@+=%-]{1,256}$/, 'expected 1 to 256 letters, digits and .~:/@+=%_-')),
  ),
);

interface Federated {
  readonly provider?: string | undefined;
  readonly audience?: string | undefined;
  readonly sts?: string | undefined;
}

/** What stands in an assertion for a provider; undefined where none is named. */
export const googleTerms = ({ provider, audience }: Federated): AssertionTerms | undefined =>
  provider === undefined
    ? undefined
    : // What a provider takes where its allowed audiences are left empty.
      { audience: audience ?? `https://iam.googleapis.com/${provider}`, algorithms: ['ES256', 'RS256'], ttl: 300 };

/** What of an entry means nothing without a provider. */
export function federationFaults({ provider, audience, sts }: Federated): Fault[] {
  if (provider !== undefined) return [];
  const needless = Object.entries({ audience, sts }).filter(([, value]) => value !== undefined);
  return needless.map(([name]) => ({ path: [name], message: `${name} means nothing without provider` }));
}
