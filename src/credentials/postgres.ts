import * as z from 'zod/mini';
import { hasControls } from '../lib/controls.ts';
import type { Fault } from '../lib/fault.ts';
import { durationSchema, later, refSchema } from '../lib/schema.ts';
import { addressSchema, tlsFaults } from './address.ts';
import type { KindPlugIn } from './index.ts';
import { modeFaults, modesSchema } from './modes.ts';

const identifier = later(() =>
  z.string().check(
    z.minLength(1),
    z.refine((text) => new TextEncoder().encode(text).length <= 63, 'a name has 63 bytes at most'),
    z.refine((text) => text.isWellFormed() && !hasControls(text), 'a name has no control characters'),
  ),
);
const { host, port, tls } = addressSchema(5432);

const schema = z.lazy(() =>
  z.strictObject({
    kind: z.literal('postgres'),
    host,
    port,
    tls,
    database: identifier,
    admin: z.optional(refSchema),
    role: z.optional(identifier),
    ...modesSchema(),
    iterations: z.optional(z.int().check(z.gte(1), z.lte(100_000))),
    pooler: z.optional(z.strictObject({ host, port })),
    ttl: z.optional(durationSchema(30, 604_800)),
  }),
);

export type PostgresConfig = z.infer<typeof schema>;

/** A login role that is a member of one configured role: of its own for each issuance, or as the mode says. */
export const postgres: KindPlugIn = {
  name: 'postgres',
  about: 'A login role made for one issuance in PostgreSQL, or one of a pool, a shared or a stored one',
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
  const faults = [...tlsFaults(config), ...modeFaults(config)];
  const { role } = config;
  if (role !== undefined && ['none', 'public'].includes(role.toLowerCase()))
    faults.push({ path: ['role'], message: `${role} is not a role that can be granted` });
  return faults;
}
