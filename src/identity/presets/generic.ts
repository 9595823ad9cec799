import * as z from 'zod/mini';
import { claimAt } from '../../lib/claims.ts';
import type { Fault } from '../../lib/fault.ts';
import { commonFaults, commonMembers, commonProfile, type IssuerConfig } from '../issuer-config.ts';
import { encodeComponent, type Preset } from '../preset.ts';
import { tenantFaults } from '../shared-issuers.ts';

interface GenericConfig extends IssuerConfig {
  /** Claims every token must carry, exactly: by path, compared without coercion. */
  readonly require?: Readonly<Record<string, string | number | boolean>>;
}

/** Any OIDC issuer: grants bind its `subject` and `claims`. */
export const generic: Preset = {
  name: 'generic',
  about: 'Any OpenID Connect issuer; `require` fixes claims that every token must carry',
  schema: z.lazy(() =>
    z.strictObject({
      preset: z.optional(z.literal('generic')),
      issuer: z.string(),
      ...commonMembers,
      require: z.optional(z.record(z.string().check(z.minLength(1)), z.union([z.string(), z.number(), z.boolean()]))),
    }),
  ),
  shape: { preset: 'generic', members: {}, generic: true },
  check: (config): readonly Fault[] => {
    const entry = config as GenericConfig;
    return [...commonFaults(entry), ...tenantFaults(entry.issuer, Object.keys(entry.require ?? {}))];
  },
  compile: (config, name) => {
    const entry = config as GenericConfig;
    const required = Object.entries(entry.require ?? {});
    return [
      {
        ...commonProfile(entry, name, { lifetime: 3600 }),
        tenantClaims: required.map(([path]) => path),
        identify: (claims) =>
          required.every(([path, value]) => claimAt(claims, path) === value)
            ? { path: encodeComponent(claims.sub as string), members: {}, disclosed: {} }
            : 'tenant',
      },
    ];
  },
};
