import type { LogReader } from '../ledger/ledger.ts';
import type { Asked } from '../ledger/questions/catch-up.ts';
import { rowOf } from '../ledger/questions/index-row.ts';
import { findPlaces, type Places } from '../ledger/questions/places.ts';
import { answerQuestion, askedOf, newerEntries, newerThan, type Page } from '../ledger/questions/questions.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Identity } from '../lib/identity.ts';
import { Refusal } from '../lib/refusal.ts';
import { isUlid } from '../lib/ulid.ts';
import { askFitting, fits } from './answer-size.ts';
import { type Cursor, type CursorOf, makeCursor, readCursor } from './cursor.ts';
import { answerJsonText, callOf, type Exchange, ledgerTime, malformed } from './exchange.ts';
import { type AskedIssuances, askedIssuances } from './issuances-query.ts';
import { itemText } from './items.ts';

const defaultLimit = 100;
const mostItems = 1_000;

/** Until when a question may be answered: the ledger's time to read on in its index, and the same to look it up. */
export const questionTime = ({ deadline, house }: Exchange): Deadline =>
  deadline.within(2 * house.deployment.limits.ledgerMs);

/** A query of an auditor who may ask it. */
export interface Query {
  readonly asked: AskedIssuances;
  readonly logs: readonly Asked[];
  readonly identity: Identity;
  /** Where it goes on. */
  readonly cursor?: Cursor & { readonly recorded: boolean };
  /** The cursor of a page that begins there. */
  next(at: readonly number[], since: number): string;
  /** Likewise of an answer with what came after these. */
  newer(places: Places, since: number): string;
}

/**
 * `GET /v1/issuances`: newest first. Each query, with all its pages, is one `read` record, written with the first page.
 * A page whose cursor does not prove that this identity's query was recorded is a query of its own.
 */
export async function listIssuances(exchange: Exchange): Promise<Response> {
  const query = await openQuery(exchange);
  if (query.asked.format === 'json') return answerPage(exchange, query);
  const { exportIssuances } = await import('./export.ts');
  return exportIssuances(exchange, query);
}

async function openQuery(exchange: Exchange): Promise<Query> {
  const logs = logsOf(exchange);
  const asked = askedIssuances(exchange);
  const { broker, cursorKey } = exchange.house.deployment;
  const { identity } = await broker.permit(callOf(exchange), 'audit:read');
  // An export is a query of its own: it goes on with no page of a list, nor a list with it.
  const what = asked.format === 'json' ? asked.facts : { ...asked.facts, format: asked.format };
  const of: CursorOf = { query: what, who: [identity.issuer, identity.iss, identity.subject] };
  const key = await cursorKey(ledgerTime(exchange));
  const { cursor: text } = asked;
  const cursor = text === undefined ? undefined : readCursor(key, of, text, exchange.house.platform.now());
  const misplaced = cursor?.at.length !== logs.length || (cursor.newer === true && asked.format !== 'json');
  if (text !== undefined && misplaced) throw malformed('cursor', 'The cursor is not one of this query.');
  return {
    asked,
    logs,
    identity,
    ...(cursor !== undefined && { cursor }),
    next: (at, since) => makeCursor(key, of, { at, since }),
    newer: (places, since) => makeCursor(key, of, { ...places, since, newer: true }),
  };
}

async function answerPage(exchange: Exchange, query: Query): Promise<Response> {
  const { asked, logs, cursor } = query;
  const limit = Math.min(asked.limit ?? defaultLimit, mostItems);
  const now = Math.floor(exchange.house.platform.now() / 1000);
  const { runtime } = exchange.house.platform;
  if (cursor?.newer === true) {
    const { at: after, cut } = await findPlaces(logs, cursor, ledgerTime(exchange));
    const { body, of } = await askFitting(runtime, newerEntries, async (most) => {
      const found = await newerThan(logs, asked.filter, after, ledgerTime(exchange), most);
      const places = await findPlaces(logs, { at: found.reached }, ledgerTime(exchange));
      // Whoever goes on asking goes on with the query that was recorded.
      const more = { newer: query.newer(places, now), ...(Object.keys(cut).length > 0 && { cut }) };
      const count = Math.max(...found.reached.map((end, at) => end - (after[at] as number)));
      return { body: itemsText(query, found.entries, more), count, of: found };
    });
    if (!cursor.recorded) await recordQuery(exchange, query, { after: place(cursor.at) }, of.entries.length);
    return answerJsonText(exchange, body);
  }
  const begin = cursor === undefined ? {} : { before: cursor.at };
  const since = cursor?.recorded === true ? cursor.since : now;
  const { body, of } = await askFitting(runtime, limit, async (most) => {
    const page = await answerQuestion(logs, { filter: asked.filter, limit: most, ...begin }, questionTime(exchange));
    const { next, indexed } = page;
    const places = indexed && (await findPlaces(logs, { at: Object.values(indexed) }, ledgerTime(exchange)));
    const more = {
      ...(next !== undefined && { next: query.next(next, since) }),
      ...(places !== undefined && { newer: query.newer(places, now), indexed }),
      ...(page.missing !== undefined && { missing: page.missing }),
    };
    return { body: itemsText(query, page.entries, more), count: page.entries.length, of: page };
  });
  if (cursor?.recorded !== true) {
    const more = { limit, ...(cursor !== undefined && { before: place(cursor.at) }) };
    await recordQuery(exchange, query, more, of.entries.length);
  }
  return answerJsonText(exchange, body);
}

/** As a record has it: a number where there is one log. */
const place = (at: readonly number[]): number | string => (at.length === 1 ? (at[0] as number) : at.join('-'));

export const recordQuery = (
  exchange: Exchange,
  { asked, identity }: Query,
  more: Readonly<Record<string, string | number>>,
  items: number,
): Promise<void> =>
  exchange.house.deployment.broker.recordRead(callOf(exchange), identity, { ...asked.facts, ...more }, items);

function itemsText({ asked }: Query, entries: Page['entries'], more: Readonly<Record<string, unknown>>): string {
  const items = entries.map((entry) => itemText(asked.disclosures ? entry : { ...entry, disclosure: null }));
  const members = Object.entries(more).map(([name, value]) => `,"${name}":${JSON.stringify(value)}`);
  return `{"items":[${items.join(',')}]${members.join('')}}`;
}

/** `GET /v1/issuances/{id}`: everything of one issuance, each record with its proof. */
export async function showIssuance(exchange: Exchange): Promise<Response> {
  const logs = logsOf(exchange);
  const issuance = exchange.c.req.param('id');
  if (!isUlid(issuance)) throw new Refusal('not_found', 'no_issuance_id');
  const call = callOf(exchange);
  const { broker } = exchange.house.deployment;
  const { identity } = await broker.permit(call, 'audit:read');
  const stories = await Promise.all(logs.map(({ reader }) => reader.story(issuance, ledgerTime(exchange))));
  const entries = stories.flat().sort((a, b) => rowOf(a).time - rowOf(b).time);
  const items = entries.map((entry) => itemText(entry, entry.proof));
  const body = `{"items":[${items.join(',')}]}`;
  // It has no pages, and what a runtime cannot hand over would reach nobody.
  if (!fits(exchange.house.platform.runtime, body)) throw storyTooLarge();
  await broker.recordRead(call, identity, { issuance }, entries.length);
  if (entries.length === 0) throw new Refusal('not_found', 'no_issuance');
  return answerJsonText(exchange, body);
}

const storyTooLarge = () =>
  new Refusal('too_large', 'story_too_large', {
    detail: 'The records of this issuance are more than an invocation can answer with.',
    hint: 'GET /v1/issuances?type=renewal&credential=... has its renewals page by page.',
  });

/** The log at hand. @throws Refusal not_found, with the ledger's URL as the hint where the log is elsewhere */
export function readerOf(exchange: Exchange): LogReader {
  return (logsOf(exchange)[0] as Asked).reader;
}

/** All logs of the ledger at hand. @throws Refusal not_found, with the ledger's URL as the hint where it is elsewhere */
export function logsOf(exchange: Exchange): readonly [Asked, ...Asked[]] {
  const { ledger } = exchange.house.deployment;
  const { elsewhere } = ledger;
  const [first, ...rest] = elsewhere === undefined ? askedOf(ledger) : [];
  if (first !== undefined) return [first, ...rest];
  throw new Refusal(
    'not_found',
    'ledger_elsewhere',
    elsewhere === undefined ? {} : { hint: `Ask the ledger: ${elsewhere}` },
  );
}
