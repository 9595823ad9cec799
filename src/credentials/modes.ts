import { durationSchema, refSchema } from '../lib/common-schemas.ts';
import type { Fault } from '../lib/fault.ts';
import * as s from '../lib/schema/index.ts';

/** How an entry of a database comes to an account, where that is not one of its own for each issuance; one of these. */
export const modesSchema = () => ({
  pool: s.optional(s.strictObject({ size: s.int().check(s.minimum(2), s.maximum(1000)) })),
  share: s.optional(
    s.strictObject({
      for: s.withDefault(durationSchema(30, 3600), '60s'),
      among: s.withDefault(s.int().check(s.minimum(1), s.maximum(10_000)), 50),
    }),
  ),
  static: s.optional(refSchema),
});

const modes = ['pool', 'share', 'static'] as const;
const needed = ['admin', 'role'] as const;

/** One mode at most; all but `static` need an admin and a role. */
export function modeFaults(config: { readonly [member in (typeof modes | typeof needed)[number]]?: unknown }): Fault[] {
  const [first, ...others] = modes.filter((mode) => config[mode] !== undefined);
  const faults = others.map((mode) => ({
    path: [mode],
    message: `${first} is set already, and an entry has one mode`,
  }));
  const missing = first === 'static' ? [] : needed.filter((member) => config[member] === undefined);
  return [...faults, ...missing.map((member) => ({ path: [member], message: `${member} is missing` }))];
}
