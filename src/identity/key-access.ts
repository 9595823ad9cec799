import { fromUtf8 } from '../lib/bytes.ts';
import { before, type Deadline } from '../lib/deadline.ts';
import type { Platform } from '../lib/platform.ts';
import type { ReadRef } from '../lib/ref.ts';
import { trusting } from '../lib/trust.ts';
import type { Fetch } from '../lib/upstream.ts';
import { KeyFetchError } from './key-fetch-error.ts';
import type { KeyAccess } from './preset.ts';

/** What keys are got with: the calls of one issuer, and what they show. */
export interface KeyDoor {
  readonly fetch: Fetch;
  readonly readFile?: Platform['readFile'];
  /**
   * The token for the configured host's discovery and keys, which no other host is shown: redirects are not followed, and
   * discovery leads to its own origin only. @throws KeyFetchError
   */
  readonly bearer?: (deadline: Deadline) => Promise<string>;
}

export interface KeyDoorDeps extends Pick<Platform, 'fetch' | 'fetchTrusting' | 'readFile' | 'now'> {
  /** Reads a REF; absent where there are no stores. */
  readonly read?: ReadRef;
}

const tokenMs = 60_000;
const longestToken = 16_384;

export function keyDoor({ ca, auth }: KeyAccess, deps: KeyDoorDeps): KeyDoor {
  const door = { fetch: trusting(ca, deps), readFile: deps.readFile };
  if (auth === undefined) return door;
  return { ...door, bearer: 'tokenFile' in auth ? fileBearer(auth.tokenFile, deps) : refBearer(auth, deps) };
}

/** Platforms that write tokens into files renew them there: what was read is used for a minute at most. */
function fileBearer(path: string, { readFile, now }: KeyDoorDeps): (deadline: Deadline) => Promise<string> {
  let known: { readonly token: string; readonly at: number } | undefined;
  return async (deadline) => {
    if (known !== undefined && Math.abs(now() - known.at) < tokenMs) return known.token;
    if (readFile === undefined) throw new KeyFetchError('no_token');
    const token = await tokenOf(deadline, async () => fromUtf8(await readFile(path)));
    known = { token, at: now() };
    return token;
  };
}

function refBearer(ref: Parameters<ReadRef>[0], { read }: KeyDoorDeps): (deadline: Deadline) => Promise<string> {
  return (deadline) => {
    if (read === undefined) throw new KeyFetchError('no_token');
    return tokenOf(deadline, async () => fromUtf8((await read(ref, deadline)).value.reveal()));
  };
}

async function tokenOf(deadline: Deadline, read: () => Promise<string>): Promise<string> {
  const text = await before(deadline, () => new KeyFetchError('timeout'), read).catch((error) => {
    throw error instanceof KeyFetchError ? error : new KeyFetchError('no_token', { cause: error });
  });
  const token = text.trim();
  // Of a header's own alphabet, so that nothing in it can begin another header.
  if (token.length > longestToken || !/^[\x21-\x7e]+$/.test(token)) throw new KeyFetchError('no_token');
  return token;
}
