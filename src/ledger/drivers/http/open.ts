import { before, type Deadline } from '../../../lib/deadline.ts';
import { callHttp, type HttpAnswer, HttpError } from '../../../lib/http-client.ts';
import { Refusal } from '../../../lib/refusal.ts';
import { epochQuestion, noEpoch } from '../../erasure/book.ts';
import type { AppendRequest, AppendResult, Entry, Ledger } from '../../ledger.ts';
import { receiptGuard } from '../../receipts/guard.ts';
import { receiptVerifier } from '../../receipts/receipt.ts';
import { noteVerifier } from '../../tree/note.ts';
import { unavailable } from '../../unavailable.ts';
import {
  decodeAppendResult,
  decodeEntries,
  decodeSuccession,
  encodeAppendRequest,
  refusalOf,
  wireAnswerBytes,
} from '../../wire.ts';
import type { LedgerDriverDeps } from '../driver.ts';
import type { HttpLedgerConfig } from '../http.ts';
import { epochGuard } from './epoch-guard.ts';

/** How often it is looked whether the standby was promoted, and how long for; milliseconds. */
const lookMs = 10_000;
const lookWaitMs = 1_000;
/** Of the time left, what the first that is asked may take where there is a second. */
const firstShare = 0.6;

/**
 * A ledger run by another Hallpass. Nothing it says is taken on trust: an append resolves only when every receipt
 * verifies against the pinned key, for the bytes that were sent, in a tree no smaller than one seen before.
 *
 * `deps.assertion` is asked for on every call; whoever makes it caches it.
 */
export async function open(config: unknown, { platform, assertion, writer }: LedgerDriverDeps): Promise<Ledger> {
  const { url, key, standby } = config as HttpLedgerConfig;
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

  async function call(where: string, init: RequestInit, deadline: Deadline): Promise<HttpAnswer> {
    try {
      return await callHttp(platform.fetch, where, init, { deadline, maxBytes: wireAnswerBytes });
    } catch (error) {
      throw unavailable(error instanceof HttpError ? error.fault : 'unreachable', error);
    }
  }

  async function callAsWriter(path: string, init: RequestInit, deadline: Deadline): Promise<Uint8Array> {
    const token = await proof(deadline);
    const headers = { ...init.headers, accept: 'application/json', authorization: `Bearer ${token}` };
    return somewhere(deadline, async (place, until) => {
      const { status, body } = await call(`${place}${path}`, { ...init, headers }, until);
      if (status !== 200) throw refusalOf(status, body);
      return body;
    });
  }

  // The standby is asked once the other does not answer, and says no until it is promoted.
  const places = standby === undefined ? [url] : [url, standby];
  let at = 0;
  let looked = Number.NEGATIVE_INFINITY;

  async function somewhere<T>(deadline: Deadline, ask: (place: string, until: Deadline) => Promise<T>): Promise<T> {
    const never = looked === Number.NEGATIVE_INFINITY;
    const looking = look(deadline);
    // A process that knows nothing yet must not take the word of one that was replaced.
    if (never) await looking;
    const [first, second] = at === 0 ? places : [...places].reverse();
    if (first === undefined || second === undefined) return ask(url, deadline);
    try {
      return await ask(first, deadline.within(deadline.left() * firstShare));
    } catch (error) {
      if (!isAway(error)) throw error;
      return ask(second, deadline).then(
        (answer) => {
          at = 1 - at;
          return answer;
        },
        (other) => {
          if (isAway(other)) throw error;
          at = 1 - at;
          throw other;
        },
      );
    }
  }

  /** Whether the standby has been promoted, now and then: only then is it ready. */
  async function look(deadline: Deadline): Promise<void> {
    if (standby === undefined || at === 1 || Math.abs(platform.now() - looked) < lookMs) return;
    looked = platform.now();
    const answer = await call(`${standby}/readyz`, { method: 'GET' }, deadline.within(lookWaitMs)).catch(
      () => undefined,
    );
    if (answer?.status === 200) at = 1;
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

  /** A ledger under another key than the pinned one proves nothing to us, and is well by its own word; asked once of each place. */
  const known = new Set<string>();
  async function refuseOther(place: string, deadline: Deadline): Promise<void> {
    if (known.has(place)) return;
    const answer = await call(`${place}/v1/log/key`, { method: 'GET' }, deadline).catch(() => undefined);
    if (answer?.status !== 200) return;
    // One key signs all logs of a ledger, under a name for each.
    const keys = new TextDecoder().decode(answer.body).trim().split('\n').map(keyOf);
    if (!keys.includes(keyOf(key))) throw unavailable('receipt_key');
    known.add(place);
  }

  const send = (request: AppendRequest, deadline: Deadline) =>
    callAsWriter('/v1/log/entries', posting(encodeAppendRequest(request)), deadline);

  const { now, random } = platform;
  const epochs = epochGuard({
    seen: () => guard.seen,
    ask: (policy, deadline) =>
      send({ entries: [epochQuestion({ writer, now, random })], epoch: noEpoch, policy }, deadline),
    now,
  });

  async function append(request: AppendRequest, deadline: Deadline): Promise<AppendResult> {
    const confirm = epochs.sending(request);
    const check = guard.sending(request.entries);
    const body = await send(request, deadline).catch((error) => {
      epochs.hear(error);
      throw error;
    });
    const result = decodeAppendResult(body, request.entries);
    await check(result.receipts, deadline).catch((error) => {
      // Whoever answers from a log that is over was replaced: the other is asked from now on.
      if (standby !== undefined) at = 1 - at;
      throw error;
    });
    await confirm(deadline);
    return result;
  }

  const entries = async (path: string, deadline: Deadline): Promise<readonly Entry[]> =>
    decodeEntries(await callAsWriter(path, { method: 'GET' }, deadline));

  return {
    origin: noteVerifier(key).name,
    elsewhere: url,
    append,
    issuance: (id, deadline) => entries(`/v1/log/issuances/${encodeURIComponent(id)}`, deadline),
    // -1 is before the first, which the route says by leaving it out.
    pending: (state, deadline, { after = -1 } = {}) =>
      entries(`/v1/log/issuances?state=${state}${after < 0 ? '' : `&after=${after}`}`, deadline),
    key: async () => key,
    async ready(deadline) {
      const { status } = await call(`${places[at]}/readyz`, { method: 'GET' }, deadline);
      if (status !== 200) throw unavailable(`status_${status}`);
      await refuseOther(places[at] as string, deadline);
    },
    keys: async () => ({ assertions: [] }),
    close: async () => {},
  };
}

/** What of a verifier key (`name+hash+base64`) is the same under every name. */
const keyOf = (vkey: string): string => vkey.replace(/^[^+]*\+[^+]*\+/, '');

const isAway = (error: unknown): boolean => error instanceof Refusal && error.code === 'ledger_unavailable';

const posting = (body: string): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body,
});
