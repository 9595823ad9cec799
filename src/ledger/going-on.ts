import { durationSchema, urlSchema } from '../lib/common-schemas.ts';
import * as s from '../lib/schema/index.ts';
import { ambientTokenSchema } from '../sessions/ambient-token.ts';
import { bucketPattern, lockSchema } from '../sessions/aws/bucket.ts';
import { originSchema, regionSchema } from '../sessions/aws/region.ts';
import { audienceSchema, roleSchema } from '../sessions/aws/terms.ts';

/** What every driver that keeps a log takes about how it goes on. */
export const goingOnMembers = {
  /** When the log is closed and its successor begins by itself: at this age, or with this many entries. */
  roll: s.optional(
    s.later(() =>
      s
        .strictObject({
          every: s.optional(durationSchema(3_600, 10 * 365 * 86_400)),
          entries: s.optional(s.int().check(s.minimum(1_000))),
        })
        .check(
          s.refine(({ every, entries }) => every !== undefined || entries !== undefined, 'say every, entries or both'),
        ),
    ),
  ),
};

/** A standby's name, as the one that it follows knows it. */
const standbyNameSchema = s.later(() => s.string().check(s.regex(/^[a-z0-9][a-z0-9-]{0,62}$/)));

/** What a driver takes whose answers can wait for a standby. */
export const confirmMembers = {
  /** Nothing is answered before this standby has confirmed it, so that it may take over by itself. */
  confirm: s.optional(
    s.later(() =>
      s.strictObject({
        standby: standbyNameSchema,
        /** How long an answer waits for it at most. */
        within: s.withDefault(durationSchema(1, 60), '1s'),
      }),
    ),
  ),
};

/** What every driver that keeps a log takes about its closed ones. */
export const archiveMembers = {
  /** Where closed logs are written, by the upkeep and by commands that do not say. */
  archive: s.optional(
    s.later(() =>
      s
        .strictObject({
          /** A folder, or `s3://BUCKET/PREFIX`. */
          to: s.string().check(s.minLength(1)),
          region: s.optional(regionSchema),
          endpoint: s.optional(originSchema),
          lock: lockSchema,
          /** By which role of AWS; absent: as what the platform runs Hallpass as. */
          assume: s.optional(roleSchema),
          sts: s.optional(originSchema),
          audience: audienceSchema,
          session: s.optional(durationSchema(900, 3600)),
        })
        .check(
          s.refine(
            ({ to }) => !/^[a-z0-9+.-]+:/i.test(to) || bucketIn(to) !== undefined,
            'expected s3://BUCKET/PREFIX',
          ),
          s.refine(({ to, region }) => !to.startsWith('s3:') || region !== undefined, 'a bucket wants its region'),
          s.refine(
            ({ to, region, endpoint, lock, assume }) => to.startsWith('s3:') || !(region || endpoint || lock || assume),
            'region, endpoint, lock and assume are of a bucket',
          ),
          s.refine(
            ({ assume, sts, audience, session }) => assume !== undefined || !(sts || audience || session),
            'sts, audience and session go with assume',
          ),
        ),
    ),
  ),
};

/** The bucket of an `s3://BUCKET/PREFIX`, and what its keys begin with; undefined for anything else. */
export function bucketIn(to: string): { readonly bucket: string; readonly prefix: string } | undefined {
  const [, bucket = '', path = ''] = /^s3:\/\/([^/]*)((?:\/[\w!*'().=-]+)*)\/?$/.exec(to) ?? [];
  return bucketPattern.test(bucket) ? { bucket, prefix: path === '' ? '' : `${path.slice(1)}/` } : undefined;
}

/** What a driver takes whose log can be a standby. */
export const standbyMembers = {
  /** This ledger is a standby: it follows another one, in another place, until it is promoted. */
  follow: s.optional(
    s.later(() =>
      s.strictObject({
        url: urlSchema,
        /** Under which name the other keeps how far this one is. */
        name: s.withDefault(standbyNameSchema, 'standby'),
        /** The platform's own token, shown instead of an assertion by a key of this broker's. */
        identity: s.optional(ambientTokenSchema),
        /** For whom what it proves itself by is good; `broker.url` where nothing is said. */
        audience: audienceSchema,
        /** It takes over by itself where the first has not answered for so long, and all that it answered is here. */
        promote: s.optional(s.strictObject({ after: durationSchema(5, 86_400) })),
      }),
    ),
  ),
};
