import * as z from 'zod/mini';
import type { Fault } from '../lib/fault.ts';
import { durationSchema, refSchema } from '../lib/schema.ts';
import { isLoopbackHost } from '../lib/url.ts';
import type { KindPlugIn } from './index.ts';

const identifier = z.string().check(
  z.minLength(1),
  z.refine((text) => new TextEncoder().encode(text).length <= 63, 'a name has 63 bytes at most'),
  z.refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), 'a name has no control characters'),
);

const schema = z.strictObject({
  kind: z.literal('postgres'),
  host: z.string().check(z.regex(/^[A-Za-z0-9._:-]{1,253}$/, 'a host name or address')),
  port: z._default(z.int().check(z.gte(1), z.lte(65_535)), 5432),
  database: identifier,
  tls: z.optional(z.enum(['verify', 'off'])),
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

/** Off by default on loopback only, and nowhere else at all. */
export const usesTls = ({ host, tls }: Pick<PostgresConfig, 'host' | 'tls'>): boolean =>
  tls === undefined ? !isLoopback(host) : tls === 'verify';

const isLoopback = (host: string): boolean => host === '::1' || isLoopbackHost(host);

function findFaults({ host, tls, role }: PostgresConfig): Fault[] {
  const faults: Fault[] = [];
  if (tls === 'off' && !isLoopback(host))
    faults.push({ path: ['tls'], message: 'tls: off is for loopback only', hint: 'leave it out' });
  if (['none', 'public'].includes(role.toLowerCase()))
    faults.push({ path: ['role'], message: `${role} is not a role that can be granted` });
  return faults;
}
