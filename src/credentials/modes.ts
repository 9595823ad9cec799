import * as z from 'zod/mini';
import type { Fault } from '../lib/fault.ts';
import { durationSchema, refSchema } from '../lib/schema.ts';

/** How an entry of a database comes to an account, where that is not one of its own for each issuance; one of these. */
export const modesSchema = () => ({
  pool: z.optional(z.strictObject({ size: z.int().check(z.gte(2), z.lte(1000)) })),
  share: z.optional(
    z.strictObject({
      for: z._default(durationSchema(30, 3600), '60s'),
      among: z._default(z.int().check(z.gte(1), z.lte(10_000)), 50),
    }),
  ),
  static: z.optional(refSchema),
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
