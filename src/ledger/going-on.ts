import * as z from 'zod/mini';
import { durationSchema, later, urlSchema } from '../lib/schema.ts';
import { ambientTokenSchema } from '../sessions/ambient-token.ts';
import { bucketPattern, lockSchema } from '../sessions/aws/bucket.ts';
import { originSchema, regionSchema } from '../sessions/aws/region.ts';
import { audienceSchema, roleSchema } from '../sessions/aws/terms.ts';

/** What every driver that keeps a log takes about how it goes on. */
export const goingOnMembers = {
  /** When the log is closed and its successor begins by itself: at this age, or with this many entries. */
  roll: z.optional(
    later(() =>
      z
        .strictObject({
          every: z.optional(durationSchema(3_600, 10 * 365 * 86_400)),
          entries: z.optional(z.int().check(z.gte(1_000))),
        })
        .check(
          z.refine(({ every, entries }) => every !== undefined || entries !== undefined, 'say every, entries or both'),
        ),
    ),
  ),
};

/** A standby's name, as the one that it follows knows it. */
const standbyNameSchema = later(() => z.string().check(z.regex(/^[a-z0-9][a-z0-9-]{0,62}$/)));

/** What a driver takes whose answers can wait for a standby. */
export const confirmMembers = {
  /** Nothing is answered before this standby has confirmed it, so that it may take over by itself. */
  confirm: z.optional(
    later(() =>
      z.strictObject({
        standby: standbyNameSchema,
        /** How long an answer waits for it at most. */
        within: z._default(durationSchema(1, 60), '1s'),
      }),
    ),
  ),
};

/** What every driver that keeps a log takes about its closed ones. */
export const archiveMembers = {
  /** Where closed logs are written, by the upkeep and by commands that do not say. */
  archive: z.optional(
    later(() =>
      z
        .strictObject({
          /** A folder, or `s3://BUCKET/PREFIX`. */
          to: z.string().check(z.minLength(1)),
          region: z.optional(regionSchema),
          endpoint: z.optional(originSchema),
          lock: lockSchema,
          /** By which role of AWS; absent: as what the platform runs Hallpass as. */
          assume: z.optional(roleSchema),
          sts: z.optional(originSchema),
          audience: audienceSchema,
          session: z.optional(durationSchema(900, 3600)),
        })
        .check(
          z.refine(
            ({ to }) => !/^[a-z0-9+.-]+:/i.test(to) || bucketIn(to) !== undefined,
            'expected s3://BUCKET/PREFIX',
          ),
          z.refine(({ to, region }) => !to.startsWith('s3:') || region !== undefined, 'a bucket wants its region'),
          z.refine(
            ({ to, region, endpoint, lock, assume }) => to.startsWith('s3:') || !(region || endpoint || lock || assume),
            'region, endpoint, lock and assume are of a bucket',
          ),
          z.refine(
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
  follow: z.optional(
    later(() =>
      z.strictObject({
        url: urlSchema,
        /** Under which name the other keeps how far this one is. */
        name: z._default(standbyNameSchema, 'standby'),
        /** The platform's own token, shown instead of an assertion by a key of this broker's. */
        identity: z.optional(ambientTokenSchema),
        /** For whom what it proves itself by is good; `broker.url` where nothing is said. */
        audience: audienceSchema,
        /** It takes over by itself where the first has not answered for so long, and all that it answered is here. */
        promote: z.optional(z.strictObject({ after: durationSchema(5, 86_400) })),
      }),
    ),
  ),
};
