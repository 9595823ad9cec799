import type { Platform } from '../lib/platform.ts';
import { notHttp } from './not-http.ts';

/** What is used of an event of API Gateway's HTTP API or of a function URL (payload format 2.0). */
export interface LambdaEvent {
  readonly rawPath: string;
  readonly rawQueryString?: string;
  /** Several of one name arrive joined with a comma. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly requestContext: { readonly http: { readonly method: string; readonly sourceIp?: string } };
  readonly body?: string | null;
  readonly isBase64Encoded?: boolean;
}

export interface LambdaContext {
  getRemainingTimeInMillis(): number;
}

export interface LambdaAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly isBase64Encoded: boolean;
}

interface App {
  fetch(request: Request, env: object): Response | Promise<Response>;
}

/** Serves an app as a Lambda handler. An event that is no HTTP request is a 400, and nothing of it is logged. */
export function serveLambda(app: App, platform: Platform) {
  return async (event: LambdaEvent, lambdaContext?: LambdaContext): Promise<LambdaAnswer> => {
    await hearOthers();
    const request = requestOf(event);
    if (request === undefined) {
      if (isOtherFormat(event)) platform.log('error', 'other_event_format', { error: wanted });
      return answerOf(notHttp(platform).response());
    }
    return answerOf(await app.fetch(request, { requestContext: event.requestContext, lambdaContext }));
  };
}

/**
 * An instance that was frozen has not heard which connections were ended meanwhile, and would send its first call into one of
 * them. Two turns of the event loop, as in the first nothing may be read any more.
 */
export async function hearOthers(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
}

const wanted =
  'events come as payload format 2.0 (HTTP API, function URL): none of a REST API, of a load balancer or of format 1.0 is taken';

/** What those others have in place of `requestContext.http`. */
const isOtherFormat = (event: object | null | undefined): boolean =>
  typeof (event as { readonly httpMethod?: unknown } | null | undefined)?.httpMethod === 'string';

function requestOf(event: LambdaEvent): Request | undefined {
  try {
    const { method } = event.requestContext.http;
    if (typeof event.rawPath !== 'string' || !event.rawPath.startsWith('/')) return undefined;
    // A gateway may have decoded the path; what it decoded must not begin a query.
    const path = event.rawPath.replace(/[?#]/g, encodeURIComponent);
    const query = event.rawQueryString ? `?${event.rawQueryString}` : '';
    const headers = headersOf(event);
    const body = bodyOf(event, method);
    if (body !== undefined) headers.set('content-length', String(body.byteLength));
    return new Request(`https://localhost${path}${query}`, { method, headers, ...(body !== undefined && { body }) });
  } catch {
    return undefined;
  }
}

function headersOf(event: LambdaEvent): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(event.headers ?? {})) {
    // Events are JSON, so a header may hold what no header can; a tab is what some have between words.
    if (value !== undefined) headers.set(name, /[^\t\x20-\x7e]/.test(value) ? encodeURI(value.toWellFormed()) : value);
  }
  return headers;
}

/** Bodies of GET and HEAD mean nothing (RFC 9110 section 9.3.1), and Request takes none. */
function bodyOf({ body, isBase64Encoded }: LambdaEvent, method: string): Uint8Array<ArrayBuffer> | undefined {
  if (typeof body !== 'string' || body === '' || method === 'GET' || method === 'HEAD') return undefined;
  return Uint8Array.from(Buffer.from(body, isBase64Encoded === true ? 'base64' : 'utf8'));
}

const textual = /^(text\/|application\/(x-nd|[a-z]+\+)?json\b)/;

async function answerOf(response: Response): Promise<LambdaAnswer> {
  const isBase64Encoded = response.body !== null && !textual.test(response.headers.get('content-type') ?? '');
  return {
    statusCode: response.status,
    headers: Object.fromEntries(response.headers),
    body: isBase64Encoded ? Buffer.from(await response.arrayBuffer()).toString('base64') : await response.text(),
    isBase64Encoded,
  };
}
