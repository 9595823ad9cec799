import type { Deadline } from '../../../lib/deadline.ts';
import { callHttp, HttpError } from '../../../lib/http-client.ts';
import type { AppendRequest, AppendResult, Ledger, LogReader, PublicKeys, Texts } from '../../ledger.ts';
import type { QueryIndex } from '../../query-index.ts';
import { receiptGuard } from '../../receipts/guard.ts';
import { receiptVerifier } from '../../receipts/receipt.ts';
import { noteVerifier } from '../../tree/note.ts';
import { unavailable } from '../../unavailable.ts';
import { untrimResult, wireAnswerBytes } from '../../wire.ts';
import type { LedgerDriverDeps } from '../driver.ts';
import type { DurableObjectLedgerConfig } from '../durable-object.ts';
import {
  type Answer,
  bytesFromWire,
  type Given,
  type KeyedResult,
  type Method,
  refusalFromWire,
  type Taken,
} from './messages.ts';

/** What is used of Cloudflare's DurableObjectNamespace. */
export interface ObjectNamespace {
  idFromName(name: string): unknown;
  get(id: unknown): { fetch(url: string, init: RequestInit): Promise<Response> };
}

/** How long the handler publishes what the object said of its keys before it asks again, milliseconds. */
const keysMs = 60_000;

/** One log, one object: its name in the namespace. Another name would be another, empty log. */
const objectName = 'ledger';

/**
 * The ledger as the Worker's handler sees it. It believes the object no more than a ledger elsewhere: each receipt is
 * verified under the key the object showed first. The object keeps the keys; the handler never sees them.
 */
export async function open(config: unknown, { platform, origin }: LedgerDriverDeps): Promise<Ledger> {
  const { binding } = config as DurableObjectLedgerConfig;
  const { now } = platform;
  const namespace = platform.bindings?.[binding];
  if (!isNamespace(namespace)) throw new Error(`no Durable Object namespace is bound as ${binding}`);
  const ask = askObject(namespace);

  // Answers, not promises: on workerd a promise dies with the request that began it.
  let key: string | undefined;
  let known: { readonly keys: PublicKeys; readonly at: number } | undefined;
  let pinned: ReturnType<typeof receiptVerifier> | undefined;
  const guard = receiptGuard({
    checker: () => pinned as NonNullable<typeof pinned>,
    succession: (_, after, deadline) => ask('succession', [after], deadline),
    async claim({ checkpoint, generation }, deadline) {
      await ask('claim', [checkpoint], deadline);
      return ask('succession', [generation], deadline);
    },
  });

  async function guarded(
    { entries }: AppendRequest,
    work: () => Promise<KeyedResult>,
    deadline: Deadline,
  ): Promise<AppendResult> {
    const check = guard.sending(entries);
    const { key: shown, ...answer } = await work();
    pinned ??= verifierFor(shown, origin);
    const result = untrimResult(answer, entries);
    await check(result.receipts, deadline);
    return result;
  }

  const texts: Texts = {
    read: async (name, deadline) => (await ask('readText', [name], deadline)) ?? undefined,
    write: (name, was, text, deadline) => ask('writeText', [name, was ?? null, text], deadline),
  };

  const reader: LogReader = {
    async head(deadline) {
      const { range, root, ...head } = await ask('head', [], deadline);
      return { ...head, range: range.map(bytesOf), root: bytesOf(root) };
    },
    entries: (from, to, deadline) => ask('entries', [from, to], deadline),
    checkpoint: (deadline, generation) => ask('checkpoint', [generation ?? null], deadline),
    succession: (after, deadline) => ask('succession', [after], deadline),
    copy: async (from, limit, deadline) => (await ask('copy', [from, limit], deadline)) ?? undefined,
    at: (positions, deadline) => ask('at', [positions], deadline),
    list: (filter, deadline) => ask('list', [filter], deadline),
    story: (issuance, deadline) => ask('story', [issuance], deadline),
    tile: async (level, n, width, deadline, generation) =>
      bytesFromWire(await ask('tile', [level, n, width, generation ?? null], deadline)),
    bundle: async (n, width, deadline, generation) =>
      bytesFromWire(await ask('bundle', [n, width, generation ?? null], deadline)),
  };

  const index: QueryIndex = {
    seen: (deadline) => ask('indexSeen', [], deadline),
    add: (rows, from, to, deadline) => ask('indexAdd', [rows, from, to], deadline),
    find: (filter, before, limit, deadline) => ask('indexFind', [filter, before, limit], deadline),
    async forget(positions, deadline) {
      await ask('indexForget', [positions], deadline);
    },
    async clear(deadline) {
      await ask('indexClear', [], deadline);
    },
    follow: (deadline) => ask('indexFollow', [], deadline),
    fingerprintKeys: (deadline) => ask('fingerprintKeys', [], deadline),
  };

  return {
    origin,
    append: (request, deadline) => guarded(request, () => ask('append', [request], deadline), deadline),
    accept: (request, { name, mint }, deadline) =>
      guarded(request, () => ask('accept', [request, { name, mint }], deadline), deadline),
    issuance: (id, deadline, writer) => ask('issuance', [id, writer ?? null], deadline),
    pending: (state, deadline, filter = {}) => ask('pending', [state, filter], deadline),
    async key(deadline) {
      key ??= await ask('key', [], deadline);
      return key;
    },
    async ready(deadline) {
      await ask('ready', [], deadline);
    },
    async keys(deadline) {
      const at = now();
      if (known === undefined || at < known.at || at - known.at >= keysMs)
        known = { keys: await ask('keys', [], deadline), at };
      return known.keys;
    },
    async refreshKeys(deadline) {
      await ask('refreshKeys', [], deadline);
    },
    async secret(deadline) {
      const secret = bytesFromWire(await ask('secret', [], deadline));
      if (secret === undefined) throw unavailable('garbage');
      return secret;
    },
    reader,
    index,
    texts,
    roll: ({ generation, reason }, deadline) => ask('roll', [{ generation, reason }], deadline),
    async claim(checkpoint, deadline) {
      await ask('claim', [checkpoint], deadline);
    },
    async erase(positions, deadline) {
      await ask('erase', [positions], deadline);
    },
    close: async () => {},
  };
}

const bytesOf = (text: string): Uint8Array => bytesFromWire(text) ?? new Uint8Array(0);

function verifierFor(key: string, origin: string): ReturnType<typeof receiptVerifier> {
  try {
    if (noteVerifier(key).name === origin) return receiptVerifier(key);
  } catch (error) {
    throw unavailable('receipt_key', error);
  }
  throw unavailable('receipt_key');
}

type Ask = <M extends Method>(method: M, given: Given<M>, deadline: Deadline) => Promise<Taken<M>>;

function askObject(namespace: ObjectNamespace): Ask {
  return async (method, given, deadline) => {
    const init = { method: 'POST', body: JSON.stringify({ left: deadline.left(), arguments: given }) };
    // A stub whose object was reset stays broken, so each call takes a new one.
    const send = (url: string, more: RequestInit) => namespace.get(namespace.idFromName(objectName)).fetch(url, more);
    let status: number;
    let answer: Answer;
    try {
      const limits = { deadline, maxBytes: wireAnswerBytes };
      const got = await callHttp(send, `https://ledger.invalid/${method}`, init, limits);
      status = got.status;
      answer = JSON.parse(Buffer.from(got.body).toString()) as Answer;
    } catch (error) {
      throw unavailable(error instanceof HttpError ? error.fault : 'garbage', error);
    }
    if (status !== 200 || typeof answer !== 'object' || answer === null) throw unavailable('garbage');
    if ('refusal' in answer) throw refusalFromWire(answer.refusal);
    return answer.value as never;
  };
}

const isNamespace = (value: unknown): value is ObjectNamespace =>
  typeof value === 'object' && value !== null && 'idFromName' in value && 'get' in value;
