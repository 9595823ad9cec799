import * as z from 'zod/mini';
import { later, refSchema } from '../../lib/schema.ts';
import { retentionMembers } from '../erasure/retain.ts';
import { archiveMembers, goingOnMembers, standbyMembers } from '../going-on.ts';
import { mostShards } from '../log-name.ts';

/** What every driver takes that keeps a log where another machine can follow it. */
export const logMembers = {
  origin: z.optional(z.string()),
  public: z.optional(z.boolean()),
  ...retentionMembers,
  ...goingOnMembers,
  ...archiveMembers,
  ...standbyMembers,
  /** 32 bytes from which the checkpoint and workload keys come, instead of from the signer's. */
  seed: z.optional(refSchema),
};

export const shardMembers = {
  /** How many logs share the load; each has its own serial point and checkpoint. */
  shards: z.optional(later(() => z.int().check(z.gte(1), z.lte(mostShards)))),
};
