import * as z from 'zod/mini';
import type { Fault } from '../lib/fault.ts';
import { durationSchema, later } from '../lib/schema.ts';
import { audienceSchema } from '../sessions/login-schema.ts';
import {
  vaultAccess,
  vaultAssertion,
  vaultLoginFaults,
  vaultNever,
  vaultPathSchema,
} from '../sessions/vault-access.ts';
import type { KindPlugIn } from './index.ts';

const memberSchema = later(() => z.string().check(z.regex(/^[\w.-]{1,128}$/, 'a name is letters, digits and _.-')));

const schema = z.lazy(() =>
  z.strictObject({
    kind: z.literal('vault'),
    ...vaultAccess,
    audience: audienceSchema,
    /** Of a secrets engine, mount and all: `database/creds/orders`. */
    path: vaultPathSchema,
    method: z._default(z.enum(['read', 'write']), 'read'),
    parameters: z.optional(z.record(memberSchema, z.string().check(z.maxLength(4096)))),
    /** The member of what the path gives that a leaked value would be known by. */
    fingerprint: z.optional(memberSchema),
    ttl: z.optional(durationSchema(30, 2_764_800)),
  }),
);

export type VaultKindConfig = z.infer<typeof schema>;

/** Whatever a dynamic path of a Vault gives, with a lease of that Vault's. */
export const vault: KindPlugIn = {
  name: 'vault',
  about: 'What a dynamic path of HashiCorp Vault or OpenBao makes, its lease kept in ours',
  made: 'target',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  never: vaultNever,
  assertion: vaultAssertion,
  check: (config) => [...vaultLoginFaults(config), ...findFaults(config as VaultKindConfig)],
  async load() {
    const { open } = await import('./vault/open.ts');
    return { open: (config, deps) => open(config as VaultKindConfig, deps) };
  },
};

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
