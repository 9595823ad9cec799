import { fromUtf8 } from './bytes.ts';
import { once } from './once.ts';
import type { Platform } from './platform.ts';
import * as s from './schema/index.ts';
import type { Fetch } from './upstream.ts';

const begins = '-----BEGIN CERTIFICATE-----';

/** Certificates (PEM) that alone are trusted for a private server, in the config itself or as the path of a file. */
export const caSchema = s.optional(
  s.later(() =>
    s.string().check(
      s.minLength(1),
      s.maxLength(65_536),
      s.refine((text) => isPem(text) || !text.includes('\n'), 'expected a path, or certificates as PEM'),
    ),
  ),
);

export const isPem = (text: string): boolean => text.trimStart().startsWith(begins);

type Io = Pick<Platform, 'fetch' | 'fetchTrusting' | 'readFile'>;

/**
 * The fetch for a server whose certificate is pinned by `ca`, or the platform's own where there is none. The file is read
 * when the first call is made; one that could not be read is tried again by the next.
 *
 * @throws Error from the calls, where the file or the runtime's help is missing; never falls back to other trust
 */
export function trusting(ca: string | undefined, io: Io): Fetch {
  if (ca === undefined) return io.fetch;
  const pinned = once(() =>
    pin(ca, io).catch((cause) => {
      throw Object.assign(new Error('no certificate to pin', { cause }), { code: 'NO_CA' });
    }),
  );
  return async (url, init) => (await pinned())(url, init);
}

async function pin(ca: string, { fetchTrusting, readFile }: Io): Promise<Fetch> {
  if (fetchTrusting === undefined) throw new Error('this runtime cannot pin a certificate');
  if (isPem(ca)) return fetchTrusting(ca);
  if (readFile === undefined) throw new Error('there is no file system here');
  const pem = fromUtf8(await readFile(ca));
  if (!isPem(pem)) throw new Error('the file has no certificate');
  return fetchTrusting(pem);
}
