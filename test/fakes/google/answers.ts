import { createHash, randomBytes } from 'node:crypto';
import { crc32c } from '../../../src/lib/crc32c.ts';
import type { FakeAnswer } from '../server.ts';

const codes = {
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  RESOURCE_EXHAUSTED: 429,
  UNAVAILABLE: 503,
} as const;

/** In every refusal of the fake, as Google's own words would be: it must be found nowhere outside. */
export const upstreamWords = 'words-of-the-upstream';

export const ok = (body: unknown, headers: Record<string, string> = {}): FakeAnswer => ({
  status: 200,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
});

/** A google.rpc.Status, with an ErrorInfo where a reason is given. */
export function refuse(status: keyof typeof codes, reason?: string): FakeAnswer {
  const details = reason && [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason, domain: 'googleapis.com' }];
  const error = { code: codes[status], message: `${upstreamWords} ${status}`, status, ...(details && { details }) };
  return { ...ok({ error }), status: codes[status] };
}

export const sum = (bytes: Uint8Array): string => String(crc32c(bytes));

/** Access tokens that the fake gave out. */
export function tokenBook(now: () => number) {
  const tokens = new Map<string, { readonly holder: string; readonly until: number }>();
  return {
    give(holder: string, seconds: number): string {
      const token = `ya29.${randomBytes(24).toString('base64url')}`;
      tokens.set(token, { holder, until: now() + seconds * 1000 });
      return token;
    },
    /** Whose the token in the header is; undefined: nobody's. */
    holder(authorization: string | undefined): string | undefined {
      const found = tokens.get(/^Bearer (\S+)$/.exec(authorization ?? '')?.[1] ?? '');
      return found !== undefined && found.until > now() ? found.holder : undefined;
    },
    /** Seconds that a token has still to live. */
    left: (token: string): number => ((tokens.get(token)?.until ?? 0) - now()) / 1000,
    /** Every token given so far dies at once. */
    revokeAll: () => tokens.clear(),
  };
}

export type TokenBook = ReturnType<typeof tokenBook>;

/** The number of a project, which Google writes into resource names where it was asked by id. */
export const projectNumber = (project: string): string =>
  /^[0-9]+$/.test(project) ? project : String(createHash('sha256').update(project).digest().readUInt32BE(0) + 1);
