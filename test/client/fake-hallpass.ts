import { type Client, type ClientOptions, createClient } from '../../src/client/index.ts';
import { signCheckpoint } from '../../src/ledger/tree/checkpoint.ts';
import { extend, inclusionProof, leafHash } from '../../src/ledger/tree/merkle.ts';
import { noteSigner } from '../../src/ledger/tree/note.ts';
import { formatProof } from '../../src/ledger/tree/proof.ts';

export const url = 'https://pass.test';
export const signer = noteSigner('pass.test/ledger', new Uint8Array(32).fill(7));

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: unknown;
}

/** Gives an answer of its own, throws as a network does, or leaves it to the fake. */
type Answer = (asked: Asked) => Response | undefined;

/** A Hallpass that issues credentials of 600 s and keeps a log, a client of it, and the clock of both. */
export function fakeHallpass(options: ClientOptions = {}) {
  const asked: Asked[] = [];
  const warned: string[] = [];
  const waits: number[] = [];
  const records: string[] = [];
  const hallpass = {
    /** Milliseconds. */
    time: Date.parse('2026-11-22T12:00:00Z'),
    ttl: 600,
    handles: false,
    answer: (() => undefined) as Answer,
    asked,
    warned,
    waits,
    records,
    issued: () => asked.filter(({ method }) => method === 'POST').length,
    client: undefined as unknown as Client,
    /** Another client of the same. */
    connect: (more: ClientOptions = {}) =>
      createClient({
        url,
        token: 'fake-token',
        env: {},
        now: () => hallpass.time,
        wait: async (ms) => {
          waits.push(ms);
          hallpass.time += ms;
        },
        warn: (message) => warned.push(message),
        fetch,
        ...options,
        ...more,
      }),
  };

  async function fetch(at: string, init: RequestInit): Promise<Response> {
    // An answer comes later than its question.
    await Promise.resolve();
    const call: Asked = {
      method: init.method ?? 'GET',
      path: at.slice(url.length),
      headers: new Headers(init.headers),
      body: typeof init.body === 'string' ? JSON.parse(init.body) : undefined,
    };
    asked.push(call);
    return hallpass.answer(call) ?? (call.method === 'POST' ? issue(call) : new Response(null, { status: 204 }));
  }

  function issue({ path }: Asked): Response {
    const credential = decodeURIComponent(path.split('/').at(-1) ?? '');
    const id = `01jd9m${String(records.length).padStart(20, '0')}`;
    records.push(JSON.stringify({ credential, id, kind: 'secret', type: 'issuance' }));
    return Response.json({
      id,
      credential,
      kind: 'secret',
      data: { value: `not-a-secret-${records.length}` },
      lease: {
        expiresAt: new Date(hallpass.time + hallpass.ttl * 1000).toISOString(),
        ttl: hallpass.ttl,
        revocable: true,
        renewable: false,
        ...(hallpass.handles && { handle: `hpl_${id}` }),
      },
      receipt: receiptOf(records, records.length - 1),
    });
  }

  hallpass.client = hallpass.connect();
  return hallpass;
}

/** A receipt of the log that holds these records. */
export function receiptOf(records: readonly string[], index: number, log = signer.name) {
  const grown = extend(0, [], records.map(leafHash));
  const path = inclusionProof(index, grown.size, grown.node);
  const checkpoint = signCheckpoint(signer.as(log), grown.size, grown.root);
  return { log, index, record: records[index] as string, proof: formatProof({ index, path, checkpoint }) };
}

export const problem = (status: number, code: string, headers: Record<string, string> = {}, more: object = {}) =>
  Response.json({ code, requestId: 'req-1', ...more }, { status, headers });

export const away = (): never => {
  throw new TypeError('fetch failed');
};
