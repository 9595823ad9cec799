import { type KnownCredentials, signatureFault } from './aws-sigv4.ts';
import type { FakeSts } from './aws-sts.ts';
import { type FakeAnswer, type FakeCall, type FakeServer, startFake } from './server.ts';

export interface FakeS3 {
  readonly server: FakeServer;
  /** By `bucket/key`. */
  readonly objects: ReadonlyMap<string, FakeCall>;
  /** What a broker's environment holds to be let in. */
  readonly env: Readonly<Record<string, string>>;
}

const known: KnownCredentials = {
  secretAccessKey: 'fake-key',
  sessionToken: 'fake-session',
  until: Number.POSITIVE_INFINITY,
};
const id = 'ASIAFAKEFAKEFAKEFAKE';

/** As much of S3 as is asked: signed PUTs that must not be there yet, and GETs; whom `sts` gave a session is let in, and it answers here too. */
export async function startS3(sts?: FakeSts): Promise<FakeS3> {
  const objects = new Map<string, FakeCall>();
  const server = await startFake((call): FakeAnswer | Promise<FakeAnswer> => {
    if (sts !== undefined && call.method === 'POST') return sts.answer(call);
    const fault = signatureFault(call, sts?.sessions ?? new Map([[id, known]]), Date.now());
    if (fault !== undefined) return refusal(403, 'SignatureDoesNotMatch');
    const named = objects.get(decodeURIComponent(call.url.pathname.slice(1)));
    if (call.method === 'GET')
      return named === undefined ? refusal(404, 'NoSuchKey') : { status: 200, body: named.bytes };
    if (call.method !== 'PUT' || call.headers['if-none-match'] !== '*') return refusal(400, 'InvalidRequest');
    const key = decodeURIComponent(call.url.pathname.slice(1));
    if (objects.has(key)) return refusal(412, 'PreconditionFailed');
    objects.set(key, call);
    return { status: 200, headers: { etag: '"fake"' } };
  });
  const env = {
    AWS_ACCESS_KEY_ID: id,
    AWS_SECRET_ACCESS_KEY: known.secretAccessKey,
    AWS_SESSION_TOKEN: known.sessionToken,
  };
  return { server, objects, env };
}

export const refusal = (status: number, code: string): FakeAnswer => ({
  status,
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>no</Message></Error>`,
});
