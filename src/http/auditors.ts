import type { LogReader, PlacedEntry } from '../ledger/ledger.ts';
import type { RecordType } from '../ledger/record.ts';
import { fromBase64Url } from '../lib/bytes.ts';
import { Refusal } from '../lib/refusal.ts';
import { isJsonObject, parseStrictJson } from '../lib/strict-json.ts';
import { isUlid } from '../lib/ulid.ts';
import { makeCursor, readCursor } from './cursor.ts';
import { answerJsonText, callOf, type Exchange, ledgerTime, malformed } from './exchange.ts';

const defaultLimit = 100;
const mostItems = 1_000;

/**
 * `GET /v1/issuances`: newest first. Each query, with all its pages, is one `read` record, written with the first page.
 * A page whose cursor does not prove that this identity's query was recorded is a query of its own.
 */
export async function listIssuances(exchange: Exchange): Promise<Response> {
  const reader = readerOf(exchange);
  const call = callOf(exchange);
  const { deployment, platform } = exchange.house;
  const { broker } = deployment;
  const { identity } = await broker.permit(call, 'audit:read');

  const type = exchange.query.type ?? 'issuance';
  const limit = Math.min(Number(exchange.query.limit ?? defaultLimit), mostItems);
  const of = { query: { type }, who: [identity.issuer, identity.iss, identity.subject] };
  const key = await deployment.cursorKey(ledgerTime(exchange));
  const { cursor: text } = exchange.query;
  const cursor = text === undefined ? undefined : readCursor(key, of, text, platform.now());
  if (text !== undefined && cursor === undefined) throw malformed('cursor', 'The cursor is not one of this query.');

  const begin: Readonly<Record<string, number>> = cursor === undefined ? {} : { before: cursor.before };
  const filter = { limit, ...(type !== '*' && { type: type as RecordType }), ...begin };
  const entries = await reader.list(filter, ledgerTime(exchange));
  const recorded = cursor?.recorded === true;
  const since = recorded ? cursor.since : Math.floor(platform.now() / 1000);
  if (!recorded) await broker.recordRead(call, identity, { type, limit, ...begin }, entries.length);

  const last = entries.length === limit ? entries.at(-1) : undefined;
  const next =
    last === undefined || last.index === 0 ? '' : `,"next":"${makeCursor(key, of, { before: last.index, since })}"`;
  const items = entries.map((entry) => itemText(entry));
  return answerJsonText(exchange, `{"items":[${items.join(',')}]${next}}`);
}

/** `GET /v1/issuances/{id}`: everything of one issuance, each record with its proof. */
export async function showIssuance(exchange: Exchange): Promise<Response> {
  const reader = readerOf(exchange);
  const issuance = exchange.c.req.param('id');
  if (!isUlid(issuance)) throw new Refusal('not_found', 'no_issuance_id');
  const call = callOf(exchange);
  const { broker } = exchange.house.deployment;
  const { identity } = await broker.permit(call, 'audit:read');
  const entries = await reader.story(issuance, ledgerTime(exchange));
  await broker.recordRead(call, identity, { issuance }, entries.length);
  if (entries.length === 0) throw new Refusal('not_found', 'no_issuance');
  const items = entries.map((entry) => itemText(entry, entry.proof));
  return answerJsonText(exchange, `{"items":[${items.join(',')}]}`);
}

/** The log at hand. @throws Refusal not_found, with the ledger's URL as the hint where the log is elsewhere */
export function readerOf(exchange: Exchange): LogReader {
  const { reader, elsewhere } = exchange.house.deployment.ledger;
  if (reader !== undefined && elsewhere === undefined) return reader;
  throw new Refusal(
    'not_found',
    'ledger_elsewhere',
    elsewhere === undefined ? {} : { hint: `Ask the ledger: ${elsewhere}` },
  );
}

// A record is canonical JSON text already, so it is put in as it is.
function itemText(entry: PlacedEntry, proof?: string): string {
  const { log, leaf, record, disclosure } = entry;
  let text = `{"log":${JSON.stringify(log)},"index":${leaf},"record":${record}`;
  if (disclosure !== null) text += `,"disclosure":${JSON.stringify(disclosure)}${disclosedMember(disclosure)}`;
  if (proof !== undefined) text += `,"proof":${JSON.stringify(proof)}`;
  return `${text}}`;
}

/**
 * The members of a disclosure, `[salt, members]` in base64url, without the salt. One that somebody spoilt in the ledger's
 * storage is shown as it is: a query answers all the same, and `ledger verify` is what finds it.
 */
function disclosedMember(disclosure: string): string {
  try {
    const value = parseStrictJson(fromBase64Url(disclosure) ?? '');
    return Array.isArray(value) && isJsonObject(value[1]) ? `,"disclosed":${JSON.stringify(value[1])}` : '';
  } catch {
    return '';
  }
}
