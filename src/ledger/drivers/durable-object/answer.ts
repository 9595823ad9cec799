import { toBase64Url } from '../../../lib/bytes.ts';
import type { Deadline } from '../../../lib/deadline.ts';
import { deadlineIn } from '../../../lib/deadline.ts';
import type { AppendResult, Ledger, LogReader } from '../../ledger.ts';
import type { QueryIndex } from '../../query-index.ts';
import { brokerTypes } from '../../records/writer.ts';
import { unavailable } from '../../unavailable.ts';
import { trimResult } from '../../wire.ts';
import { type Answer, bytesToWire, type Call, type Given, type Method, refusalToWire, type Taken } from './messages.ts';

type Handlers = {
  readonly [M in Method]: (ledger: Ledger, given: Given<M>, deadline: Deadline) => Promise<Taken<M>>;
};

const handlers: Handlers = {
  append: async (ledger, [request], deadline) => keyed(ledger, await ledger.append(request, deadline), deadline),
  accept: async (ledger, [request, writer], deadline) => {
    if (ledger.accept === undefined) throw unavailable('not_here');
    const rights = { ...writer, types: brokerTypes };
    return keyed(ledger, await ledger.accept(request, rights, deadline), deadline);
  },
  issuance: (ledger, [id, writer], deadline) => ledger.issuance(id, deadline, writer ?? undefined),
  pending: (ledger, [state, filter], deadline) => ledger.pending(state, deadline, filter),
  key: (ledger, _, deadline) => ledger.key(deadline),
  ready: async (ledger, _, deadline) => {
    await ledger.ready(deadline);
    return null;
  },
  keys: (ledger, _, deadline) => ledger.keys(deadline),
  refreshKeys: async (ledger, _, deadline) => {
    await ledger.refreshKeys?.(deadline);
    return null;
  },
  secret: async (ledger, _, deadline) => {
    if (ledger.secret === undefined) throw unavailable('no_secret');
    return toBase64Url(await ledger.secret(deadline));
  },
  checkpoint: (ledger, [generation], deadline) => readerOf(ledger).checkpoint(deadline, generation ?? undefined),
  succession: (ledger, [after], deadline) => readerOf(ledger).succession(after, deadline),
  copy: async (ledger, [from, limit], deadline) => (await readerOf(ledger).copy(from, limit, deadline)) ?? null,
  roll: (ledger, [request], deadline) => {
    if (ledger.roll === undefined) throw unavailable('not_here');
    return ledger.roll(request, deadline);
  },
  claim: async (ledger, [checkpoint], deadline) => {
    await ledger.claim?.(checkpoint, deadline);
    return null;
  },
  head: async (ledger, _, deadline) => {
    const head = await readerOf(ledger).head(deadline);
    return { ...head, range: head.range.map(toBase64Url), root: toBase64Url(head.root) };
  },
  entries: (ledger, [from, to], deadline) => readerOf(ledger).entries(from, to, deadline),
  at: async (ledger, [positions], deadline) => (await readerOf(ledger).at?.(positions, deadline)) ?? [],
  list: (ledger, [filter], deadline) => readerOf(ledger).list(filter, deadline),
  story: (ledger, [issuance], deadline) => readerOf(ledger).story(issuance, deadline),
  tile: async (ledger, [level, n, width, generation], deadline) =>
    bytesToWire(await readerOf(ledger).tile(level, n, width, deadline, generation ?? undefined)),
  bundle: async (ledger, [n, width, generation], deadline) =>
    bytesToWire(await readerOf(ledger).bundle(n, width, deadline, generation ?? undefined)),
  readText: async (ledger, [name], deadline) => (await ledger.texts?.read(name, deadline)) ?? null,
  writeText: async (ledger, [name, was, text], deadline) => {
    if (ledger.texts === undefined) throw unavailable('not_here');
    return ledger.texts.write(name, was ?? undefined, text, deadline);
  },
  erase: async (ledger, [positions], deadline) => {
    if (ledger.erase === undefined) throw unavailable('not_here');
    await ledger.erase(positions, deadline);
    return null;
  },
  indexSeen: (ledger, _, deadline) => indexOf(ledger).seen(deadline),
  indexAdd: (ledger, [rows, from, to], deadline) => indexOf(ledger).add(rows, from, to, deadline),
  indexFind: (ledger, [filter, before, limit], deadline) => indexOf(ledger).find(filter, before, limit, deadline),
  indexForget: async (ledger, [positions], deadline) => {
    await indexOf(ledger).forget(positions, deadline);
    return null;
  },
  indexClear: async (ledger, _, deadline) => {
    await indexOf(ledger).clear(deadline);
    return null;
  },
  // Here, where the log is: its entries need not travel to be read. As much as one question would: others get their turn.
  indexFollow: async (ledger, _, deadline) => {
    const { catchUp, freshen } = await import('../../questions/catch-up.ts');
    return catchUp({ origin: ledger.origin, reader: readerOf(ledger), index: indexOf(ledger) }, deadline, freshen);
  },
  fingerprintKeys: async (ledger, _, deadline) => (await indexOf(ledger).fingerprintKeys?.(deadline)) ?? {},
};

const keyed = async (ledger: Ledger, result: AppendResult, deadline: Deadline) => ({
  ...trimResult(result),
  key: await ledger.key(deadline),
});

function indexOf(ledger: Ledger): QueryIndex {
  if (ledger.index === undefined) throw unavailable('not_here');
  return ledger.index;
}

function readerOf(ledger: Ledger): LogReader {
  if (ledger.reader === undefined) throw unavailable('not_here');
  return ledger.reader;
}

/**
 * The object's side: answers the handler's calls from the log that `build` opens on the first one. A build that failed
 * is tried again by the next call. `failed` hears of what was no Refusal, for the operator's log.
 */
export function answerLedgerCalls(
  build: () => Promise<Ledger>,
  now: () => number,
  failed: (error: unknown) => void,
): (request: Request) => Promise<Response> {
  let building: Promise<Ledger> | undefined;

  async function built(): Promise<Ledger> {
    building ??= build();
    try {
      return await building;
    } catch (error) {
      building = undefined;
      throw error;
    }
  }

  async function answer(request: Request): Promise<Answer> {
    const method = new URL(request.url).pathname.slice(1);
    if (!Object.hasOwn(handlers, method)) throw unavailable('unknown_method');
    const call = (await request.json()) as Call;
    const handle = handlers[method as Method] as Handlers['append'];
    const value = await handle(await built(), call.arguments as Given<'append'>, deadlineIn(call.left, now));
    return { value };
  }

  return async (request) => {
    try {
      return Response.json(await answer(request));
    } catch (error) {
      const refusal = refusalToWire(error);
      if (refusal.reason === 'object_failed') failed(error);
      return Response.json({ refusal } satisfies Answer);
    }
  };
}
