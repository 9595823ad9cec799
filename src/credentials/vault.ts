import { durationSchema } from '../lib/common-schemas.ts';
import type { Fault } from '../lib/fault.ts';
import * as s from '../lib/schema/index.ts';
import { audienceSchema } from '../sessions/login-schema.ts';
import {
  vaultAccess,
  vaultAssertion,
  vaultLoginFaults,
  vaultNever,
  vaultPathSchema,
} from '../sessions/vault-access.ts';
import type { KindPlugIn } from './index.ts';
import type { Place } from './target-mark.ts';

const { address, namespace } = vaultAccess;

const memberSchema = s.later(() => s.string().check(s.regex(/^[\w.-]{1,128}$/, 'a name is letters, digits and _.-')));

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('vault'),
    ...vaultAccess,
    formerly: s.optional(s.array(s.strictObject({ address, namespace })).check(s.minLength(1), s.maxLength(16))),
    audience: audienceSchema,
    /** Of a secrets engine, mount and all: `database/creds/orders`. */
    path: vaultPathSchema,
    method: s.withDefault(s.enum(['read', 'write']), 'read'),
    parameters: s.optional(s.record(memberSchema, s.string().check(s.maxLength(4096)))),
    /** The member of what the path gives that a leaked value would be known by. */
    fingerprint: s.optional(memberSchema),
    ttl: s.optional(durationSchema(30, 2_764_800)),
  }),
);

export type VaultKindConfig = s.infer<typeof schema>;

/** Whatever a dynamic path of a Vault gives, with a lease of that Vault's. */
export const vault: KindPlugIn = {
  name: 'vault',
  about: 'What a dynamic path of HashiCorp Vault or OpenBao makes, its lease kept in ours',
  made: 'target',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  never: vaultNever,
  assertion: vaultAssertion,
  places(config) {
    const { formerly = [], ...entry } = config as VaultKindConfig;
    return { now: vaultPlace(entry), formerly: formerly.map(vaultPlace) };
  },
  check: (config) => [...vaultLoginFaults(config), ...findFaults(config as VaultKindConfig)],
  async load() {
    const { open } = await import('./vault/open.ts');
    return { open: (config, deps) => open(config as VaultKindConfig, deps) };
  },
};

/** A lease is of a namespace; of which engine or path, its id says. */
const vaultPlace = ({ address, namespace }: Pick<VaultKindConfig, 'address' | 'namespace'>): Place => ({
  address: address.replace(/\/$/, ''),
  namespace,
});

function findFaults({ path, method, parameters }: VaultKindConfig): Fault[] {
  const faults: Fault[] = [];
  if (!/^(?!(sys|auth|identity|cubbyhole)\/)./.test(path) || !path.includes('/'))
    faults.push({
      path: ['path'],
      message: 'this is no path of a secrets engine',
      hint: 'such as database/creds/orders',
    });
  if (method === 'read' && parameters !== undefined)
    faults.push({ path: ['parameters'], message: 'only a write takes parameters', hint: 'add method: write' });
  return faults;
}
