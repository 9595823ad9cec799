import type { Deadline } from '../../../lib/deadline.ts';
import { callHttp, HttpError } from '../../../lib/http-client.ts';
import type { LedgerDriverDeps } from '../../driver.ts';
import type { AppendRequest, AppendResult, Ledger, LogReader } from '../../ledger.ts';
import { noteVerifier } from '../../note.ts';
import { receiptVerifier } from '../../receipt.ts';
import { receiptGuard } from '../../receipt-guard.ts';
import { unavailable, untrimResult, wireAnswerBytes } from '../../wire.ts';
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

/** One log, one object: its name in the namespace. Another name would be another, empty log. */
const objectName = 'ledger';

/**
 * The ledger as the Worker's handler sees it. It believes the object no more than a ledger elsewhere: each receipt is
 * verified under the key the object showed first. The object keeps the keys; the handler never sees them.
 */
export async function open(config: unknown, { platform, origin }: LedgerDriverDeps): Promise<Ledger> {
  const { binding } = config as DurableObjectLedgerConfig;
  const namespace = platform.bindings?.[binding];
  if (!isNamespace(namespace)) throw new Error(`no Durable Object namespace is bound as ${binding}`);
  const ask = askObject(namespace);

  let pinned: ReturnType<typeof receiptVerifier> | undefined;
  const guard = receiptGuard(() => pinned as NonNullable<typeof pinned>);

  async function guarded({ entries }: AppendRequest, work: () => Promise<KeyedResult>): Promise<AppendResult> {
    const check = guard.sending(entries);
    const { key, ...answer } = await work();
    pinned ??= verifierFor(key, origin);
    const result = untrimResult(answer, entries);
    check(result.receipts);
    return result;
  }

  const reader: LogReader = {
    checkpoint: (deadline) => ask('checkpoint', [], deadline),
    list: (filter, deadline) => ask('list', [filter], deadline),
    story: (issuance, deadline) => ask('story', [issuance], deadline),
    tile: async (level, n, width, deadline) => bytesFromWire(await ask('tile', [level, n, width], deadline)),
    bundle: async (n, width, deadline) => bytesFromWire(await ask('bundle', [n, width], deadline)),
  };

  return {
    origin,
    append: (request, deadline) => guarded(request, () => ask('append', [request], deadline)),
    accept: (request, writer, deadline) => {
      const rights = { ...writer, types: [...writer.types] };
      return guarded(request, () => ask('accept', [request, rights], deadline));
    },
    issuance: (id, deadline, writer) => ask('issuance', [id, writer ?? null], deadline),
    pending: (state, deadline, writer) => ask('pending', [state, writer ?? null], deadline),
    key: (deadline) => ask('key', [], deadline),
    async ready(deadline) {
      await ask('ready', [], deadline);
    },
    keys: (deadline) => ask('keys', [], deadline),
    async secret(deadline) {
      const secret = bytesFromWire(await ask('secret', [], deadline));
      if (secret === undefined) throw unavailable('garbage');
      return secret;
    },
    reader,
    close: async () => {},
  };
}

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
