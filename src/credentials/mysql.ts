import { durationSchema, refSchema } from '../lib/common-schemas.ts';
import type { Fault } from '../lib/fault.ts';
import * as s from '../lib/schema/index.ts';
import { addressSchema, formerlySchema, nameFaults, serverPlaces, tlsFaults } from './address.ts';
import type { KindPlugIn } from './index.ts';
import { modeFaults, modesSchema } from './modes.ts';

const identifier = () => s.string().check(s.regex(/^[^\p{Cc}\p{Cs}]{1,64}$/u, 'a name of 64 characters at most'));

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('mysql'),
    ...addressSchema(3306),
    formerly: formerlySchema(3306),
    database: identifier(),
    admin: s.optional(refSchema),
    role: s.optional(identifier()),
    ...modesSchema(),
    from: s.withDefault(s.string().check(s.regex(/^[A-Za-z0-9.:%_/-]{1,60}$/, 'a host pattern')), '%'),
    ttl: s.optional(durationSchema(30, 604_800)),
  }),
);

export type MysqlConfig = s.infer<typeof schema>;

/** A user whose default role is one configured role: of its own for each issuance, or as the mode says. */
export const mysql: KindPlugIn = {
  name: 'mysql',
  about: 'A user made for one issuance in MySQL or MariaDB, or one of a pool, a shared or a stored one',
  made: 'target',
  schema,
  runtimes: ['node', 'lambda'],
  places: (config) => serverPlaces(config as MysqlConfig),
  check: (config) => findFaults(config as MysqlConfig),
  async load() {
    const { open } = await import('./mysql/open.ts');
    return { open: (config, deps) => open(config as MysqlConfig, deps) };
  },
};

function findFaults(config: MysqlConfig): Fault[] {
  const faults = [...tlsFaults(config), ...nameFaults(config), ...modeFaults(config)];
  const { role } = config;
  if (role !== undefined && /^(none|public|default|all)$/i.test(role))
    faults.push({ path: ['role'], message: `${role} is not a role that can be granted` });
  return faults;
}
