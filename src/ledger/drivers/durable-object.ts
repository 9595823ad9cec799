import type { PlugIn } from '../../lib/catalog.ts';
import { refSchema } from '../../lib/common-schemas.ts';
import * as s from '../../lib/schema/index.ts';
import { retentionMembers } from '../erasure/retain.ts';
import { archiveMembers, goingOnMembers } from '../going-on.ts';
import type { LedgerDriverModule } from './driver.ts';

export type DurableObjectLedgerConfig = s.infer<typeof schema>;

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('durable-object'),
    /** The Worker's binding of the Durable Object namespace. */
    binding: s.withDefault(s.string().check(s.regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/)), 'LEDGER'),
    origin: s.optional(s.string()),
    public: s.optional(s.boolean()),
    ...retentionMembers,
    ...goingOnMembers,
    ...archiveMembers,
    /** 32 bytes from which the checkpoint and workload keys come, instead of from the signer's. */
    seed: s.optional(refSchema),
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
