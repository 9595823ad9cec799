import { before, type Deadline } from '../../../lib/deadline.ts';
import { callHttp, type HttpAnswer, HttpError } from '../../../lib/http-client.ts';
import { Refusal } from '../../../lib/refusal.ts';
import type { LedgerDriverDeps } from '../../driver.ts';
import type { AppendRequest, AppendResult, Entry, Ledger } from '../../ledger.ts';
import { noteVerifier } from '../../note.ts';
import { receiptVerifier } from '../../receipt.ts';
import { receiptGuard } from '../../receipt-guard.ts';
import {
  decodeAppendResult,
  decodeEntries,
  decodeSuccession,
  encodeAppendRequest,
  refusalOf,
  unavailable,
  wireAnswerBytes,
} from '../../wire.ts';
import type { HttpLedgerConfig } from '../http.ts';

/**
 * A ledger run by another Hallpass. Nothing it says is taken on trust: an append resolves only when every receipt
 * verifies against the pinned key, for the bytes that were sent, in a tree no smaller than one seen before.
 *
 * `deps.assertion` is asked for on every call; whoever makes it caches it.
 */
export async function open(config: unknown, { platform, assertion }: LedgerDriverDeps): Promise<Ledger> {
  const { url, key } = config as HttpLedgerConfig;
  if (assertion === undefined) throw new Error('an http ledger needs an assertion of this broker');
  const prove = assertion;
  const verify = receiptVerifier(key);
  const guard = receiptGuard({
    checker: () => verify,
    succession: async (line, after, deadline) =>
      decodeSuccession(
        await callAsWriter(`/v1/log/succession?${new URLSearchParams({ log: line, after: `${after}` })}`, {}, deadline),
      ),
    claim: async ({ checkpoint }, deadline) =>
      decodeSuccession(await callAsWriter('/v1/log/succession', posting(JSON.stringify({ checkpoint })), deadline)),
  });

  async function call(path: string, init: RequestInit, deadline: Deadline): Promise<HttpAnswer> {
    try {
      return await callHttp(platform.fetch, `${url}${path}`, init, { deadline, maxBytes: wireAnswerBytes });
    } catch (error) {
      throw unavailable(error instanceof HttpError ? error.fault : 'unreachable', error);
    }
  }

  async function callAsWriter(path: string, init: RequestInit, deadline: Deadline): Promise<Uint8Array> {
    const token = await proof(deadline);
    const headers = { ...init.headers, accept: 'application/json', authorization: `Bearer ${token}` };
    const { status, body } = await call(path, { ...init, headers }, deadline);
    if (status !== 200) throw refusalOf(status, body);
    return body;
  }

  async function proof(deadline: Deadline): Promise<string> {
    try {
      return await before(
        deadline,
        () => unavailable('timeout'),
        () => prove(deadline),
      );
    } catch (error) {
      throw error instanceof Refusal && error.code === 'ledger_unavailable'
        ? error
        : unavailable('no_assertion', error);
    }
  }

  async function append(request: AppendRequest, deadline: Deadline): Promise<AppendResult> {
    const check = guard.sending(request.entries);
    const body = await callAsWriter('/v1/log/entries', posting(encodeAppendRequest(request)), deadline);
    const result = decodeAppendResult(body, request.entries);
    await check(result.receipts, deadline);
    return result;
  }

  const entries = async (path: string, deadline: Deadline): Promise<readonly Entry[]> =>
    decodeEntries(await callAsWriter(path, { method: 'GET' }, deadline));

  return {
    origin: noteVerifier(key).name,
    elsewhere: url,
    append,
    issuance: (id, deadline) => entries(`/v1/log/issuances/${encodeURIComponent(id)}`, deadline),
    pending: (state, deadline, { after } = {}) =>
      entries(`/v1/log/issuances?state=${state}${after === undefined ? '' : `&after=${after}`}`, deadline),
    key: async () => key,
    async ready(deadline) {
      const { status } = await call('/readyz', { method: 'GET' }, deadline);
      if (status !== 200) throw unavailable(`status_${status}`);
    },
    keys: async () => ({ assertions: [] }),
    close: async () => {},
  };
}

const posting = (body: string): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body,
});
