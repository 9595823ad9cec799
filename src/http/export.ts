import type { PlacedEntry } from '../ledger/ledger.ts';
import { catchUpAll } from '../ledger/questions/catch-up.ts';
import { answerQuestion, countFitting, type Page } from '../ledger/questions/questions.ts';
import { toUtf8 } from '../lib/bytes.ts';
import { plainJson } from '../lib/controls.ts';
import { deadlineIn } from '../lib/deadline.ts';
import { Refusal } from '../lib/refusal.ts';
import { askFitting } from './answer-size.ts';
import { type Query, questionTime, recordQuery } from './auditors.ts';
import { answer, callOf, type Exchange, ledgerTime } from './exchange.ts';
import type { ExportFormat } from './issuances-query.ts';
import { csvHead, csvLine, itemText } from './items.ts';

/** Entries read at once, and held in memory. */
const pageEntries = 250;
/** Where an answer is sent as a whole it has no more than this; the header `hallpass-next` is the cursor of the rest. */
const wholeEntries = 1_000;
/** An export's record says how many entries fit when it began; of more it says this. */
const mostCounted = 10_000;

const types: Readonly<Record<ExportFormat, string>> = {
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  ocsf: 'application/x-ndjson',
  csv: 'text/csv; charset=utf-8',
};

type Write = (entry: PlacedEntry) => string;

/**
 * `GET /v1/issuances` as an export: all that fits, streamed page by page, so that it takes no more memory the more there
 * is. Its `read` record is written before the first byte.
 */
export async function exportIssuances(exchange: Exchange, query: Query): Promise<Response> {
  const { asked, logs, cursor } = query;
  const { format } = asked;
  const { runtime, now } = exchange.house.platform;
  const whole = runtime === 'lambda';
  const limit = Math.min(asked.limit ?? Number.MAX_SAFE_INTEGER, whole ? wholeEntries : Number.MAX_SAFE_INTEGER);
  const write = await writerOf(query);
  const size = whole ? limit : Math.min(limit, pageEntries);
  const head = format === 'csv' && cursor === undefined ? csvHead : '';
  const { deadline } = exchange;
  const missing = cursor === undefined ? await catchUpAll(logs, deadline.left() / 2, deadline) : 0;
  const { body, of: first } = await askFitting(runtime, size, async (most) => {
    const page = await pageAt(query, cursor?.at, most, questionTime(exchange));
    return { body: whole ? head + page.entries.map(write).join('') : '', count: page.entries.length, of: page };
  });
  if (cursor?.recorded !== true) {
    const counted = await countFitting(logs, asked.filter, mostCounted, ledgerTime(exchange));
    const items = Math.min(asked.limit ?? Number.MAX_SAFE_INTEGER, Math.max(counted, first.entries.length));
    await recordQuery(exchange, query, { format, ...(asked.limit !== undefined && { limit: asked.limit }) }, items);
  }
  // Of what is missing in the index its lines would say nothing.
  const type = { 'content-type': types[format], ...(missing > 0 && { 'hallpass-missing': String(missing) }) };
  if (!whole) return answer(exchange, 200, streamOf(exchange, query, { head, first, limit, write }), type);
  const since = cursor?.recorded === true ? cursor.since : Math.floor(now() / 1000);
  const next = first.next !== undefined && { 'hallpass-next': query.next(first.next, since) };
  return answer(exchange, 200, body, { ...type, ...next });
}

const pageAt = (
  { logs, asked }: Query,
  before: readonly number[] | undefined,
  limit: number,
  deadline: Parameters<typeof answerQuestion>[2],
): Promise<Page> =>
  answerQuestion(logs, { filter: asked.filter, limit, ...(before !== undefined && { before }) }, deadline);

async function writerOf({ asked }: Query): Promise<Write> {
  const write = await lineOf(asked.format);
  return asked.disclosures ? write : (entry) => write({ ...entry, disclosure: null });
}

async function lineOf(format: ExportFormat): Promise<Write> {
  if (format === 'csv') return csvLine;
  if (format !== 'ocsf') return (entry) => `${itemText(entry)}\n`;
  const { ocsfEvent } = await import('../sinks/formats/ocsf.ts');
  return (entry) => `${plainJson(ocsfEvent(entry))}\n`;
}

interface Export {
  readonly head: string;
  readonly first: Page;
  readonly limit: number;
  readonly write: Write;
}

/**
 * One page at a time, when the reader has taken the one before, and while who asked may still read it. What fails on the way
 * cuts the answer, visibly.
 */
function streamOf(
  exchange: Exchange,
  query: Query,
  { head, first, limit, write }: Export,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const { platform, deployment } = exchange.house;
  let page: Page | undefined = first;
  let told = 0;

  const soon = () => deadlineIn(deployment.limits.ledgerMs, platform.now);

  async function following(): Promise<Page | undefined> {
    if (page?.next === undefined || told >= limit) return undefined;
    return pageAt(query, page.next, Math.min(pageEntries, limit - told), soon());
  }

  return new ReadableStream({
    start(controller) {
      if (head !== '') controller.enqueue(bytesOf(head));
    },
    async pull(controller) {
      try {
        while (page !== undefined) {
          const text = page.entries.map(write).join('');
          if (told > 0)
            await deployment.broker.permitOn({ ...callOf(exchange), deadline: soon() }, query.identity, 'audit:read');
          told += page.entries.length;
          page = await following();
          if (text !== '') return controller.enqueue(bytesOf(text));
        }
        controller.close();
      } catch (error) {
        const reason = error instanceof Refusal ? error.reason : 'internal';
        platform.log('warn', 'export_cut', { request: exchange.request, reason, count: told });
        controller.error(error);
      }
    },
  });
}

const bytesOf = (text: string) => toUtf8(text) as Uint8Array<ArrayBuffer>;
