import { durationSchema, refSchema } from '../lib/common-schemas.ts';
import type { Fault } from '../lib/fault.ts';
import * as s from '../lib/schema/index.ts';
import { addressSchema, formerlySchema, serverPlaces, tlsFaults } from './address.ts';
import type { KindPlugIn } from './index.ts';

/** Keys, channels, commands; no password, no state of the account, no selector: those are ours. */
const rule = /^((%(R|W|RW))?~[!-~]+|&[!-~]+|all(keys|channels|commands)|[+-]@?[a-z0-9][a-z0-9_.|-]*)$/i;

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('redis'),
    ...addressSchema(6379),
    formerly: formerlySchema(6379),
    database: s.optional(s.int().check(s.minimum(0), s.maximum(65_535))),
    admin: refSchema,
    rules: s
      .array(
        s.string().check(s.maxLength(256), s.regex(rule, 'a rule names keys, channels or commands, as in ACL SETUSER')),
      )
      .check(s.minLength(2), s.maxLength(128)),
    ttl: s.optional(durationSchema(30, 604_800)),
  }),
);

export type RedisConfig = s.infer<typeof schema>;

/** An ACL user of its own for each issuance, with the configured rules. */
export const redis: KindPlugIn = {
  name: 'redis',
  about: 'An ACL user made for one issuance in Redis',
  made: 'target',
  schema,
  runtimes: ['node', 'lambda'],
  places: (config) => serverPlaces(config as RedisConfig),
  check: (config) => findFaults(config as RedisConfig),
  async load() {
    const { open } = await import('./redis/open.ts');
    return { open: (config, deps) => open(config as RedisConfig, deps) };
  },
};

/** By these an account could outlive its lease, or become another. */
const ruling =
  /^\+(@(admin|dangerous)|(acl|config|debug|module|monitor|replicaof|slaveof|sync|psync)(\|.*)?|client\|(kill|pause))$/i;
/**
 * Every command that is not marked as fast is in `slow`, those of admins too. Among those on connections are two by which
 * whoever is to end an account is kept out.
 */
const everything = /^(\+@(all|slow|connection)|\+client|allcommands)$/i;
const lessAdmin = /^-@(admin|dangerous)$/i;

function findFaults(config: RedisConfig): Fault[] {
  const faults = tlsFaults(config);
  const { rules } = config;
  const say = (message: string, at?: number) =>
    faults.push({ path: at === undefined ? ['rules'] : ['rules', at], message });
  for (const [at, rule] of rules.entries()) {
    if (ruling.test(rule)) say(`${rule} would let an account make others, or outlive its lease`, at);
    if (everything.test(rule) && !rules.slice(at).some((later) => lessAdmin.test(later)))
      say(`${rule} without -@admin or -@dangerous after it would let an account make others, or outlive its lease`, at);
  }
  if (!rules.some((rule) => /^([~%&]|all(keys|channels)$)/i.test(rule))) say('no rule names keys or channels');
  if (!rules.some((rule) => rule.startsWith('+') || everything.test(rule))) say('no rule allows a command');
  return faults;
}
