import { describe, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { callHttp, HttpError } from '../../src/lib/http-client.ts';
import { trusting } from '../../src/lib/trust.ts';
import { makeCertificate } from '../support/certificate.ts';

const pem = makeCertificate().cert;
const forbidden = async (): Promise<Response> => {
  throw new Error('other trust was used');
};

/** What of the platform is used, and how often. */
function rig(readFile?: (path: string) => Promise<Uint8Array>) {
  const used = { files: 0, pins: [] as string[] };
  const io = {
    fetch: forbidden,
    fetchTrusting: async (ca: string) => {
      used.pins.push(ca);
      return async () => new Response('{}');
    },
    readFile: async (path: string) => {
      used.files++;
      await new Promise(setImmediate);
      return readFile === undefined ? Buffer.from(pem) : readFile(path);
    },
  };
  return { used, io };
}

const reasonOf = (fetch: ReturnType<typeof trusting>) =>
  callHttp(fetch, 'https://127.0.0.1', {}, { deadline: deadlineIn(5_000, Date.now), maxBytes: 100 }).then(
    () => 'answered',
    (error) => (error instanceof HttpError ? [error.fault, error.reason] : error),
  );

describe('a pinned certificate', () => {
  it('is read from its file once, and has one pool of connections, for all who call at once', async () => {
    const { used, io } = rig();
    const fetch = trusting('ca.pem', io);
    await Promise.all(Array.from({ length: 50 }, () => fetch('https://127.0.0.1', {})));
    expect(used).toEqual({ files: 1, pins: [pem] });
  });

  it('in the config itself is used as it is', async () => {
    const { used, io } = rig();
    await trusting(pem, io)('https://127.0.0.1', {});
    expect(used).toEqual({ files: 0, pins: [pem] });
  });

  it('that cannot be had is said to be why, nothing else is trusted, and the next call tries again', async () => {
    let there = false;
    const { used, io } = rig(async () => {
      if (there) return Buffer.from(pem);
      throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
    });
    const fetch = trusting('ca.pem', io);
    expect(await reasonOf(fetch)).toEqual(['unreachable', 'no_ca']);
    there = true;
    expect(await reasonOf(fetch)).toBe('answered');
    expect(used.files).toBe(2);
    const { io: other } = rig(async () => Buffer.from('not a certificate'));
    expect(await reasonOf(trusting('ca.pem', other))).toEqual(['unreachable', 'no_ca']);
    expect(await reasonOf(trusting('ca.pem', { fetch: forbidden, fetchTrusting: other.fetchTrusting }))).toEqual([
      'unreachable',
      'no_ca',
    ]);
    expect(await reasonOf(trusting(pem, { fetch: forbidden }))).toEqual(['unreachable', 'no_ca']);
  });
});
