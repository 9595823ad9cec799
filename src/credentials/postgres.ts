import * as z from 'zod/mini';
import type { Fault } from '../lib/fault.ts';
import { durationSchema, refSchema } from '../lib/schema.ts';
import { addressSchema, tlsFaults } from './address.ts';
import type { KindPlugIn } from './index.ts';

const identifier = z.string().check(
  z.minLength(1),
  z.refine((text) => new TextEncoder().encode(text).length <= 63, 'a name has 63 bytes at most'),
  z.refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), 'a name has no control characters'),
);

const schema = z.strictObject({
  kind: z.literal('postgres'),
  ...addressSchema(5432),
  database: identifier,
  admin: refSchema,
  role: identifier,
  ttl: z.optional(durationSchema(30, 604_800)),
});

export type PostgresConfig = z.infer<typeof schema>;

/** A login role of its own for each issuance, a member of one configured role. */
export const postgres: KindPlugIn = {
  name: 'postgres',
  about: 'A login role made for one issuance in PostgreSQL',
  made: 'target',
  schema,
  runtimes: ['node', 'lambda'],
  check: (config) => findFaults(config as PostgresConfig),
  async load() {
    const { open } = await import('./postgres/open.ts');
    return { open: (config, deps) => open(config as PostgresConfig, deps) };
  },
};

function findFaults(config: PostgresConfig): Fault[] {
  const faults = tlsFaults(config);
  const { role } = config;
  if (['none', 'public'].includes(role.toLowerCase()))
    faults.push({ path: ['role'], message: `${role} is not a role that can be granted` });
  return faults;
}
