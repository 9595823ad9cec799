import type { LogReader } from '../ledger/ledger.ts';
import type { PendingState } from '../ledger/log-store.ts';
import { brokerTypes, type WriterRights } from '../ledger/records/writer.ts';
import { vkeyAs } from '../ledger/tree/note.ts';
import { decodeAppendRequest, encodeAppendResult, encodeEntries, wireLimits } from '../ledger/wire.ts';
import { Refusal } from '../lib/refusal.ts';
import { isUlid } from '../lib/ulid.ts';
import { readerOf } from './auditors.ts';
import { answer, answerJsonText, callOf, type Exchange, ledgerTime, malformed } from './exchange.ts';
import { readBody } from './request-body.ts';
import { parseTilePath } from './tile-path.ts';

const text = { 'content-type': 'text/plain; charset=utf-8' } as const;
const bytes = { 'content-type': 'application/octet-stream' } as const;
// A tile's bytes never change: a full one is complete, a partial one is named by its width. But only under its log's own
// name: the log that grows has a successor one day, whose tiles lie at the same paths.
const publicBytes = { ...bytes, 'cache-control': 'public, max-age=31536000, immutable' } as const;

/** `GET /v1/log/checkpoint`, and of a closed log `GET /v1/log/~{generation}/checkpoint`. */
export async function showCheckpoint(exchange: Exchange): Promise<Response> {
  const { reader, generation } = logOf(exchange);
  if (!exchange.house.deployment.publicLog) await requireAuditor(exchange);
  return answer(exchange, 200, await reader.checkpoint(ledgerTime(exchange), generation), text);
}

/** `GET /v1/log/cosigned`, of a shard `GET /v1/log/{shard}/cosigned`: the newest checkpoint that witnesses cosigned. */
export async function showCosigned(exchange: Exchange): Promise<Response> {
  const { deployment } = exchange.house;
  logOf(exchange);
  if (!deployment.publicLog) await requireAuditor(exchange);
  const { ledger } = deployment;
  const shard = exchange.c.req.param('log');
  const { texts } = shard === undefined ? ledger : (ledger.shards?.[Number(shard)] ?? {});
  const note = texts && (await deployment.cosigned(texts, ledgerTime(exchange)));
  if (note === undefined) throw new Refusal('not_found', 'not_cosigned');
  return answer(exchange, 200, note, text);
}

/** `GET /v1/log/tile/...` (C2SP tlog-tiles): hash tiles, and entry bundles, which always need `audit: read`. */
export async function showTile(exchange: Exchange): Promise<Response> {
  const { reader, generation } = logOf(exchange);
  const tile = parseTilePath(exchange.c.req.param('tile') ?? '');
  if (tile === undefined) throw new Refusal('not_found', 'tile_path');
  const open = exchange.house.deployment.publicLog && tile.level !== 'entries';
  if (!open) await requireAuditor(exchange);
  const { level, n, width } = tile;
  const found =
    level === 'entries'
      ? await reader.bundle(n, width, ledgerTime(exchange), generation)
      : await reader.tile(level, n, width, ledgerTime(exchange), generation);
  if (found === undefined) throw new Refusal('not_found', 'beyond_the_log');
  const lasting = open && generation !== undefined;
  return answer(exchange, 200, new Uint8Array(found), lasting ? publicBytes : bytes);
}

/** `GET /v1/log/key`: the verifier key, public on every broker; `GET /v1/log/{log}/key`: the same key under a log's own name. */
export async function showLogKey(exchange: Exchange): Promise<Response> {
  const key = await exchange.house.deployment.ledger.key(ledgerTime(exchange));
  const name = exchange.c.req.param('log');
  if (name === undefined) return answer(exchange, 200, `${key}\n`, text);
  const { reader, generation = 0 } = logOf(exchange);
  const head = await reader.head(ledgerTime(exchange));
  if (generation > head.generation) throw new Refusal('not_found', 'no_such_log');
  const { origin } = exchange.house.deployment.ledger;
  // The first generation has no suffix.
  const log = `${origin}${name.startsWith('~') ? '' : '/'}${name}`.replace(/\/?~1$/, '');
  return answer(exchange, 200, `${vkeyAs(key, log)}\n`, text);
}

/** `POST /v1/log/entries`: an append of another broker. */
export async function appendEntries(exchange: Exchange): Promise<Response> {
  const { ledger, broker } = exchange.house.deployment;
  readerOf(exchange);
  if (ledger.accept === undefined) throw new Refusal('not_found', 'takes_no_writers');
  const first = await requireWriter(exchange);
  const body = await readBody(exchange, wireLimits.requestBytes);
  if (body === undefined) throw malformed('no_body', 'Send the entries as JSON.');
  const request = decodeAppendRequest(body);
  // A lockdown that the writer has heard of and this instance has not may be about the writer.
  const writer = request.epoch > broker.epoch ? await requireWriter(exchange, request.epoch) : first;
  const result = await ledger.accept(request, writer, exchange.deadline);
  return answerJsonText(exchange, encodeAppendResult(result));
}

/** `GET /v1/log/issuances/{id}`: a writer's own records of one issuance, for undoing. */
export async function showWritersIssuance(exchange: Exchange): Promise<Response> {
  readerOf(exchange);
  const id = exchange.c.req.param('id');
  if (!isUlid(id)) throw new Refusal('not_found', 'no_issuance_id');
  const { name } = await requireWriter(exchange, 'newest');
  return answerJsonText(
    exchange,
    encodeEntries(await exchange.house.deployment.ledger.issuance(id, ledgerTime(exchange), name)),
  );
}

/** `GET /v1/log/issuances?state=open|expired|unrevoked&after=`: a writer's own issuances that want undoing. */
export async function listPending(exchange: Exchange): Promise<Response> {
  readerOf(exchange);
  const { name } = await requireWriter(exchange, 'newest');
  const { state, after } = exchange.query as { state: PendingState; after?: string };
  const filter = { writer: name, after: after === undefined ? undefined : Number(after) };
  const { ledger } = exchange.house.deployment;
  return answerJsonText(exchange, encodeEntries(await ledger.pending(state, ledgerTime(exchange), filter)));
}

/** Which log the path names: `{shard}`, `~{generation}` or both; by default the one that grows. */
function logOf(exchange: Exchange): { readonly reader: LogReader; readonly generation?: number } {
  const name = exchange.c.req.param('log') ?? '';
  const [match, shard, number] = /^(0|[1-9][0-9]?)?(?:~([1-9][0-9]{0,8}))?$/.exec(name) ?? [];
  const { shards } = exchange.house.deployment.ledger;
  // Of several none is the log without a number.
  const own = shards === undefined ? readerOf(exchange) : undefined;
  const reader = shard === undefined ? own : shards?.[Number(shard)]?.reader;
  if (match === undefined || reader === undefined) throw new Refusal('not_found', 'no_such_log');
  return { reader, ...(number !== undefined && { generation: Number(number) }) };
}

async function requireAuditor(exchange: Exchange): Promise<void> {
  await exchange.house.deployment.broker.permit(callOf(exchange), 'audit:read');
}

/**
 * Who appends: the token's issuer, or for an ambient token the name its role gives it. What is appended says under which epoch;
 * who only reads is held against the newest.
 * @throws Refusal denied
 */
export async function requireWriter(exchange: Exchange, known?: number | 'newest'): Promise<WriterRights> {
  const { broker } = exchange.house.deployment;
  const { identity, decision } = await broker.permit(callOf(exchange), 'ledger:append', known);
  return { name: decision.role?.writer ?? identity.iss, types: brokerTypes, mint: decision.role?.mint ?? [] };
}
