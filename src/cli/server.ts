import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fromUtf8 } from '../lib/bytes.ts';
import { before, deadlineIn } from '../lib/deadline.ts';
import { callHttp, type HttpAnswer, HttpError } from '../lib/http-client.ts';
import { isJsonObject, type Json, type JsonObject, parseStrictJson } from '../lib/strict-json.ts';
import { parseDuration } from '../lib/time.ts';
import { urlFault } from '../lib/url.ts';
import { devSubject, findRunning, readIssuer, signDevToken } from './dev-folder.ts';
import { exit, exitForStatus, Failure } from './failure.ts';
import { checkDuration } from './option-values.ts';
import { shown, type Terminal, withProgress } from './terminal.ts';
import { findToken } from './token-sources.ts';

/** Options of every command that speaks to a server. */
export interface ServerOptions {
  readonly server?: string;
  readonly tokenFile?: string;
  readonly verbose?: boolean;
  /** How long to wait for each answer. */
  readonly timeout?: string;
}

export interface ServerAnswer {
  readonly status: number;
  readonly body: JsonObject;
}

export interface Server {
  readonly url: string;
  /** One call with the workload token; a problem answer is thrown as a ProblemFailure, one without its sign as a Failure. */
  call(method: string, path: string, sign: Sign, body?: object): Promise<ServerAnswer>;
  /** The same for a document that is not JSON. */
  bytes(path: string): Promise<Uint8Array>;
  /**
   * The same for an answer of any length and of this media type, part by part, none of which is asked for before the last is
   * done with; gives its headers.
   */
  stream(path: string, type: string, part: (bytes: Uint8Array) => Promise<void>): Promise<Headers>;
}

const isCount = (value: Json | undefined): boolean => Number.isSafeInteger(value);
const isText = (value: Json | undefined): boolean => typeof value === 'string';

/** What every answer of a route has. */
const signs = {
  items: Array.isArray,
  logs: Array.isArray,
  credentials: Array.isArray,
  lease: isJsonObject,
  lockdown: isJsonObject,
  blastRadius: isJsonObject,
  decision: isText,
  version: isText,
  erased: isCount,
  unrevoked: isCount,
} as const;

/** The member an answer of Hallpass is known by; `nothing`: a lease ends without a word. */
export type Sign = keyof typeof signs | 'nothing';

const devDir = '.hallpass';
const maxAnswerBytes = 64 * 1024 * 1024;
/** A server answers within its `limits.request`, 15 s where it says nothing and 2 min at most. */
const answerMs = 20_000;
const mostAnswerMs = 3_600_000;
/** Between two parts of an answer of any length: little may fit of much that is looked through. */
const partMs = 120_000;

/** As often a page may end where it began: a server that is out of time may have got no further. */
const mostSame = 10;

/** Gives where the next page begins, from there and from where this one did. @throws Failure where it would have no end */
export function openPaging(): (next: string, asked: string | null | undefined) => string {
  let same = 0;
  return (next, asked) => {
    same = next === asked ? same + 1 : 0;
    if (same === mostSame) throw new Failure(exit.unreachable, 'the server gives the same page again and again');
    return next;
  };
}

/** Finds the server and a token, and says with `--verbose` which were taken. @throws Failure */
export async function connect(options: ServerOptions, terminal: Terminal): Promise<Server> {
  const ms = answerTime(options);
  const { url, dev } = await findServer(options.server, terminal);
  const { token, source } = await findToken(
    { tokenFile: options.tokenFile, audience: url },
    {
      env: terminal.env,
      now: terminal.now,
      fetch: terminal.fetch,
      readFile: (path) => readFile(resolve(terminal.folder, path), 'utf8'),
      devToken: () => devToken(url, dev, terminal),
    },
  );
  if (options.verbose === true) terminal.err(`server: ${url}\ntoken: from ${source}\n`);
  return {
    url,
    call: (method, path, sign, body) => callServer(terminal, url, sign, { token, method, path, body, ms }),
    bytes: async (path) => checked(await send(terminal, url, { token, method: 'GET', path, ms })).body,
    stream: (path, type, part) => streamFrom(terminal, url, { token, path, type, ms }, part),
  };
}

/** `--timeout` in milliseconds. @throws Failure */
export function answerTime({ timeout }: Pick<ServerOptions, 'timeout'>): number {
  if (timeout === undefined) return answerMs;
  checkDuration('timeout', timeout);
  const ms = (parseDuration(timeout) ?? 0) * 1000;
  if (ms > mostAnswerMs) throw new Failure(exit.usage, `--timeout ${shown(timeout)} is too long`, '1h at most');
  return ms;
}

/** `--server`, HALLPASS_URL, else a running `hallpass dev`. @throws Failure */
export async function findServer(
  named: string | undefined,
  terminal: Terminal,
): Promise<{ url: string; dev: boolean }> {
  const url = named ?? (terminal.env.HALLPASS_URL || undefined);
  if (url !== undefined) {
    const fault = urlFault(url);
    if (fault !== undefined)
      throw new Failure(exit.usage, `the server ${JSON.stringify(shown(withoutUser(url)))} is refused: ${fault}`);
    if (ofLog.test(url))
      throw new Failure(exit.usage, 'a server is named without /v1/log', 'its URL is what stands before that');
    return { url: url.replace(/\/$/, ''), dev: false };
  }
  const running = await findRunning(resolve(terminal.folder, devDir), terminal.fetch);
  if (running !== undefined) return { url: running, dev: true };
  throw new Failure(
    exit.unreachable,
    'no server',
    'name one with --server URL or HALLPASS_URL, or start `hallpass dev` in this folder',
  );
}

/** Where a server publishes its log; commands ask below it by themselves. */
const ofLog = /\/v1\/log(?:\/|$)/;

// A password in it is shown to nobody.
const withoutUser = (url: string): string => url.replace(/\/\/[^/?#]*@/, '//...@');

// The development token goes to the development server only, however that one was named.
async function devToken(url: string, dev: boolean, terminal: Terminal): Promise<string | undefined> {
  const dir = resolve(terminal.folder, devDir);
  if (!dev && (await findRunning(dir, terminal.fetch)) !== url) return undefined;
  return signDevToken(await readIssuer(dir), { subject: devSubject }, terminal);
}

/** A problem answer of the server; `problem` is its code. */
export class ProblemFailure extends Failure {
  constructor(
    readonly status: number,
    readonly problem: string | undefined,
    message: string,
    hint: string | undefined,
  ) {
    super(exitForStatus(status) || exit.unreachable, message, hint);
  }
}

/** Throws an error again; a problem of this code to which the server gives no hint, with this one. */
export const hinted =
  (problem: string, hint: string) =>
  (error: unknown): never => {
    if (!(error instanceof ProblemFailure) || error.problem !== problem || error.hint !== undefined) throw error;
    throw new ProblemFailure(error.status, problem, error.message, hint);
  };

/** Revokes a lease by its handle, which needs no token: it may be gone by then. @throws Failure */
export const revokeByHandle = (
  terminal: Terminal,
  url: string,
  path: string,
  handle: string,
  options: Pick<ServerOptions, 'timeout'>,
): Promise<ServerAnswer> =>
  callServer(terminal, url, 'nothing', { handle, method: 'DELETE', path, ms: answerTime(options) });

interface Call {
  readonly token?: string;
  /** Of the lease it is about. */
  readonly handle?: string;
  readonly method: string;
  readonly path: string;
  readonly body?: object;
  /** For how long its answer is waited for, milliseconds. */
  readonly ms?: number;
}

/** A public document of a server as text; undefined when it wants a token. @throws Failure */
export async function readPublic(terminal: Terminal, url: string, path: string): Promise<string | undefined> {
  const answer = await send(terminal, url, { method: 'GET', path });
  return answer.status === 401 ? undefined : fromUtf8(checked(answer).body);
}

async function callServer(terminal: Terminal, url: string, sign: Sign, call: Call): Promise<ServerAnswer> {
  const answer = checked(await send(terminal, url, call));
  const body = parseAnswer(answer.body);
  if (body === undefined) throw unusable(url, 'not JSON');
  const isOurs = sign === 'nothing' ? answer.status === 204 || answer.status === 202 : signs[sign](body[sign]);
  if (!isOurs) throw unusable(url, 'not from Hallpass');
  return { status: answer.status, body };
}

/** What stands in a server's place may answer 200, and JSON, to anything: nothing of it is believed. */
export const unusable = (url: string, why: string): Failure =>
  new Failure(exit.unreachable, `${url} gave no usable answer (${why})`);

/** What began may take as long as it goes on; what was cut on the way is no answer. @throws Failure */
async function streamFrom(
  terminal: Terminal,
  url: string,
  {
    token,
    path,
    type,
    ms,
  }: { readonly token: string; readonly path: string; readonly type: string; readonly ms: number },
  part: (bytes: Uint8Array) => Promise<void>,
): Promise<Headers> {
  const headers = { authorization: `Bearer ${token}` };
  const broken = () => new Failure(exit.unreachable, `${url} gave no usable answer (cut)`);
  let response: Response | undefined;
  const begin = async (path: string, init: RequestInit) => {
    const answer = await terminal.fetch(path, init);
    if (!answer.ok) return answer;
    response = answer;
    return new Response(null, { status: 204 });
  };
  const limits = { deadline: deadlineIn(ms, terminal.now), maxBytes: maxAnswerBytes };
  const refused = await withProgress(
    terminal,
    `asking ${url}`,
    callHttp(begin, `${url}${path}`, { headers }, limits),
  ).catch((error) => {
    throw error instanceof HttpError && error.fault === 'timeout' ? unanswered(url, error) : broken();
  });
  if (response === undefined) {
    checked(refused);
    throw broken();
  }
  if (response.headers.get('content-type')?.split(';')[0] !== type) {
    void response.body?.cancel().catch(() => {});
    throw unusable(url, 'not from Hallpass');
  }
  const reader = response.body?.getReader();
  for (;;) {
    const next = async () => reader?.read();
    const read = await before(deadlineIn(partMs, terminal.now), broken, next).catch(() => {
      void reader?.cancel().catch(() => {});
      throw broken();
    });
    if (read === undefined || read.done) return response.headers;
    await part(read.value);
  }
}

async function send(terminal: Terminal, url: string, call: Call): Promise<HttpAnswer> {
  const { token, handle, method, path, body, ms = answerMs } = call;
  const headers: Record<string, string> = {};
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  if (handle !== undefined) headers['hallpass-lease'] = handle;
  if (body !== undefined) headers['content-type'] = 'application/json';
  const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
  const limits = { deadline: deadlineIn(ms, terminal.now), maxBytes: maxAnswerBytes };
  const work = callHttp(terminal.fetch, `${url}${path}`, init, limits);
  return withProgress(terminal, `asking ${url}`, work).catch((error) => {
    if (!(error instanceof HttpError)) throw error;
    throw unanswered(url, error);
  });
}

const unanswered = (url: string, { fault }: HttpError): Failure =>
  new Failure(exit.unreachable, `${url} gave no usable answer (${fault})`, faultHints[fault]);

const faultHints: Readonly<Record<string, string>> = {
  timeout: '--timeout 2m waits longer for each answer; what was asked for may be done all the same',
  unreachable: 'does it run there, and is that its URL? --server or HALLPASS_URL names it',
};

/** @throws Failure for anything but a 2xx */
function checked(answer: HttpAnswer): HttpAnswer {
  if (answer.status < 200 || answer.status > 299) throw problemFailure(answer.status, parseAnswer(answer.body) ?? {});
  return answer;
}

function parseAnswer(bytes: Uint8Array): JsonObject | undefined {
  if (bytes.length === 0) return {};
  try {
    const value = parseStrictJson(fromUtf8(bytes), 32);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const inItsLog = 'why is in the server’s own log, under this request id';

/** What a server does not say, and would help whoever asked. */
const hints: Readonly<Record<string, string>> = {
  store_failed: inItsLog,
  store_timeout: inItsLog,
  token_invalid:
    'the token must be alive, of an issuer the server trusts, and for its audience (its URL); --verbose says which was taken',
};

// RFC 9457; what a server says is shown as text, never trusted as terminal control.
function problemFailure(status: number, problem: JsonObject): ProblemFailure {
  const text = (name: string) => (typeof problem[name] === 'string' ? shown(problem[name]) : undefined);
  const said = [text('code'), text('detail')].filter((part) => part !== undefined).join(': ');
  const request = text('requestId');
  const message = `${status}${said === '' ? '' : ` ${said}`}${request === undefined ? '' : ` (request ${request})`}`;
  const hint = text('hint') ?? hints[text('code') ?? ''];
  return new ProblemFailure(status, text('code'), message, hint);
}
