import * as z from 'zod/mini';
import type { PlugIn } from '../../lib/catalog.ts';
import { later, refSchema } from '../../lib/schema.ts';
import { retentionMembers } from '../erasure/retain.ts';
import { archiveMembers, goingOnMembers } from '../going-on.ts';
import type { LedgerDriverModule } from './driver.ts';

export type DurableObjectLedgerConfig = z.infer<typeof schema>;

const schema = later(() =>
  z.strictObject({
    kind: z.literal('durable-object'),
    /** The Worker's binding of the Durable Object namespace. */
    binding: z._default(z.string().check(z.regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/)), 'LEDGER'),
    origin: z.optional(z.string()),
    public: z.optional(z.boolean()),
    ...retentionMembers,
    ...goingOnMembers,
    ...archiveMembers,
    /** 32 bytes from which the checkpoint and workload keys come, instead of from the signer's. */
    seed: z.optional(refSchema),
  }),
);

/** A log in the SQLite storage of one Durable Object, beside the Worker that asks it. */
export const durableObjectLedger: PlugIn<LedgerDriverModule, 'durable-object'> = {
  name: 'durable-object',
  about: 'a Durable Object of the Worker itself, in its SQLite storage',
  schema,
  runtimes: ['workerd'],
  load: async () => {
    const { open } = await import('./durable-object/open.ts');
    return { open };
  },
};
