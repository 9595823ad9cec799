import { durationSchema, refSchema } from '../lib/common-schemas.ts';
import { hasControls } from '../lib/controls.ts';
import type { Fault } from '../lib/fault.ts';
import * as s from '../lib/schema/index.ts';
import { addressSchema, formerlySchema, serverPlaces, tlsFaults } from './address.ts';
import type { KindPlugIn } from './index.ts';
import { modeFaults, modesSchema } from './modes.ts';

const identifier = s.later(() =>
  s.string().check(
    s.minLength(1),
    s.refine((text) => new TextEncoder().encode(text).length <= 63, 'a name has 63 bytes at most'),
    s.refine((text) => text.isWellFormed() && !hasControls(text), 'a name has no control characters'),
  ),
);
const { host, port, tls } = addressSchema(5432);

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('postgres'),
    host,
    port,
    tls,
    formerly: formerlySchema(5432),
    database: identifier,
    admin: s.optional(refSchema),
    role: s.optional(identifier),
    ...modesSchema(),
    iterations: s.optional(s.int().check(s.minimum(1), s.maximum(100_000))),
    pooler: s.optional(s.strictObject({ host, port })),
    ttl: s.optional(durationSchema(30, 604_800)),
  }),
);

export type PostgresConfig = s.infer<typeof schema>;

/** A login role that is a member of one configured role: of its own for each issuance, or as the mode says. */
export const postgres: KindPlugIn = {
  name: 'postgres',
  about: 'A login role made for one issuance in PostgreSQL, or one of a pool, a shared or a stored one',
  made: 'target',
  schema,
  runtimes: ['node', 'lambda'],
  places: (config) => serverPlaces(config as PostgresConfig),
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
