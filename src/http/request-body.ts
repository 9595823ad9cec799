import { concat, fromUtf8 } from '../lib/bytes.ts';
import { before, type Deadline } from '../lib/deadline.ts';
import { Refusal } from '../lib/refusal.ts';
import { type Exchange, malformed } from './exchange.ts';

/**
 * The bytes of a JSON body, undefined when none came. Type and length are looked at here and not before, as the
 * decision comes before anything of the body.
 *
 * @throws Refusal unsupported_media_type, too_large, invalid_request
 */
export async function readBody(exchange: Exchange, maxBytes: number): Promise<Uint8Array | undefined> {
  const bytes = await readBytes(exchange, maxBytes, exchange.deadline);
  if (bytes !== undefined) checkType(exchange, isJson);
  return bytes;
}

/**
 * The text of a form (RFC 6749 appendix B), empty when none came. Here nothing was decided yet, so what its headers tell is
 * refused before a byte is read, and it has less time to arrive.
 *
 * @throws Refusal unsupported_media_type, too_large, invalid_request
 */
export async function readForm(exchange: Exchange, maxBytes: number): Promise<string> {
  checkType(exchange, isForm);
  const bytes = await readBytes(exchange, maxBytes, exchange.deadline.within(formMs));
  try {
    return bytes === undefined ? '' : fromUtf8(bytes);
  } catch {
    throw malformed('form_utf8', 'The form is not UTF-8.');
  }
}

/** How long an undecided caller may take to send a form, milliseconds. */
const formMs = 5_000;

function checkType({ c }: Exchange, isType: (type: string) => boolean): void {
  const { headers } = c.req.raw;
  const encoding = headers.get('content-encoding');
  if (isType(headers.get('content-type') ?? '') && (encoding === null || encoding.toLowerCase() === 'identity')) return;
  throw new Refusal('unsupported_media_type', 'content_type');
}

async function readBytes(exchange: Exchange, maxBytes: number, deadline: Deadline): Promise<Uint8Array | undefined> {
  const { c, house } = exchange;
  const headers = c.req.raw.headers;
  const length = headers.get('content-length');
  if (length === '0' || !house.front.hasBody(c)) return undefined;
  if (length !== null && !/^\d{1,15}$/.test(length))
    throw malformed('content_length', 'The Content-Length header is malformed.');
  if (length !== null && Number(length) > maxBytes) throw tooLarge(maxBytes);
  const bytes = await (length === null
    ? before(deadline, late, (signal) => readCounted(c.req.raw.body, maxBytes, signal))
    : before(deadline, late, () => readWhole(exchange)));
  if (bytes.byteLength > maxBytes) throw tooLarge(maxBytes);
  return bytes.byteLength === 0 ? undefined : bytes;
}

const tooLarge = (maxBytes: number) =>
  new Refusal('too_large', 'body_too_large', { detail: `This route takes a body of at most ${maxBytes} bytes.` });

const late = () => malformed('body_late', 'The body did not arrive in time.');

const cut = (cause: unknown) => new Refusal('invalid_request', 'body_cut', { detail: 'The body ended early.', cause });

/** With a Content-Length the runtime itself holds the caller to it, so the bounded length was checked already. */
async function readWhole({ c, house }: Exchange): Promise<Uint8Array> {
  try {
    return await house.front.readWhole(c);
  } catch (cause) {
    throw cut(cause);
  }
}

async function readCounted(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (body === null) return new Uint8Array(0);
  const parts: Uint8Array[] = [];
  const reader = body.getReader();
  const stop = () => void reader.cancel().catch(() => {});
  signal.addEventListener('abort', stop);
  for (let size = 0; ; ) {
    const { done, value } = await reader.read().catch((cause) => {
      throw cut(cause);
    });
    if (done) return concat(...parts);
    size += value.byteLength;
    if (size > maxBytes) {
      stop();
      throw tooLarge(maxBytes);
    }
    parts.push(value);
  }
}

const isJson = (type: string) => /^application\/json *(; *charset="?utf-8"? *)?$/i.test(type);
const isForm = (type: string) => /^application\/x-www-form-urlencoded *(; *charset="?utf-8"? *)?$/i.test(type);
