import { refSchema } from '../../lib/common-schemas.ts';
import * as s from '../../lib/schema/index.ts';
import { retentionMembers } from '../erasure/retain.ts';
import { archiveMembers, goingOnMembers, standbyMembers } from '../going-on.ts';
import { mostShards } from '../log-name.ts';

/** What every driver takes that keeps a log where another machine can follow it. */
export const logMembers = {
  origin: s.optional(s.string()),
  public: s.optional(s.boolean()),
  ...retentionMembers,
  ...goingOnMembers,
  ...archiveMembers,
  ...standbyMembers,
  /** 32 bytes from which the checkpoint and workload keys come, instead of from the signer's. */
  seed: s.optional(refSchema),
};

export const shardMembers = {
  /** How many logs share the load; each has its own serial point and checkpoint. */
  shards: s.optional(s.later(() => s.int().check(s.minimum(1), s.maximum(mostShards)))),
};
