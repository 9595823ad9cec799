import { claimAt } from '../../lib/claims.ts';
import type { Fault } from '../../lib/fault.ts';
import * as s from '../../lib/schema/index.ts';
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
  schema: s.later(() =>
    s.strictObject({
      preset: s.optional(s.literal('generic')),
      issuer: s.string(),
      ...commonMembers,
      require: s.optional(s.record(s.string().check(s.minLength(1)), s.union([s.string(), s.number(), s.boolean()]))),
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
