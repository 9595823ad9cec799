import { concat } from '../lib/bytes.ts';
import { before } from '../lib/deadline.ts';
import { Refusal } from '../lib/refusal.ts';
import { type Exchange, malformed } from './exchange.ts';

/**
 * The bytes of a JSON body, undefined when none came. Type and length are looked at here and not before, as the
 * decision comes before anything of the body.
 *
 * @throws Refusal unsupported_media_type, too_large, invalid_request
 */
export async function readBody(exchange: Exchange, maxBytes: number): Promise<Uint8Array | undefined> {
  const { c, house } = exchange;
  const headers = c.req.raw.headers;
  const length = headers.get('content-length');
  if (length === '0' || !house.front.hasBody(c)) return undefined;
  if (length !== null && !/^\d{1,15}$/.test(length))
    throw malformed('content_length', 'The Content-Length header is malformed.');
  if (length !== null && Number(length) > maxBytes) throw tooLarge(maxBytes);
  const bytes = await (length === null
    ? before(exchange.deadline, late, (signal) => readCounted(c.req.raw.body, maxBytes, signal))
    : before(exchange.deadline, late, () => readWhole(exchange)));
  if (bytes.byteLength > maxBytes) throw tooLarge(maxBytes);
  if (bytes.byteLength === 0) return undefined;
  if (!isJson(headers.get('content-type')) || !isPlain(headers.get('content-encoding'))) {
    throw new Refusal('unsupported_media_type', 'content_type');
  }
  return bytes;
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

const isJson = (type: string | null) => type !== null && /^application\/json *(; *charset="?utf-8"? *)?$/i.test(type);
const isPlain = (encoding: string | null) => encoding === null || encoding.toLowerCase() === 'identity';
