import type { Context } from 'hono';
import { HonoBase } from 'hono/hono-base';
import type { Deployment } from '../config/deployment.ts';
import { deadlineIn } from '../lib/deadline.ts';
import type { Platform } from '../lib/platform.ts';
import { Refusal } from '../lib/refusal.ts';
import { answer, type Exchange, type House } from './exchange.ts';
import { fronts } from './front.ts';
import { oauthErrorOf } from './oauth-error.ts';
import { problemOf } from './problem.ts';
import { requestIds } from './request-id.ts';
import { checkAccept, readQuery, readTrace } from './request-line.ts';
import { pathRouter } from './router.ts';
import { type Route, routes } from './routes.ts';

/**
 * The HTTP face of a deployment, for every runtime. Routes lie under `/` and, where `broker.url` has a path, under that
 * path as well, as a proxy may or may not take it off.
 */
export function createApp(deployment: Deployment, platform: Platform): HonoBase {
  const app = new HonoBase({ router: pathRouter() });
  const house = { deployment, platform, front: fronts[platform.runtime], headers: houseHeaders(deployment.url) };
  const serve = createServer(house);
  const prefix = new URL(deployment.url).pathname.replace(/\/$/, '');
  const paths = byPath(Object.values(routes));
  // The path of `broker.url` first: below a `/workloads` of its own lie the broker's documents.
  for (const base of prefix === '' ? [''] : [prefix, '']) {
    for (const [path, methods] of paths) app.all(base + withRest(path, methods), (c) => serve(c, methods));
  }
  for (const [path, methods] of prefix === '' ? [] : paths) {
    if (methods.some((route) => route.beforePath)) app.all(path + prefix, (c) => serve(c, methods));
  }
  app.notFound((c) => serve(c, []));
  return app;
}

function byPath(all: readonly Route[]): ReadonlyMap<string, readonly Route[]> {
  const paths = new Map<string, Route[]>();
  for (const route of all) paths.set(route.path, [...(paths.get(route.path) ?? []), route]);
  return paths;
}

/** What every answer carries; a handler may say otherwise for a public document. */
function houseHeaders(url: string): Readonly<Record<string, string>> {
  return {
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    ...(url.startsWith('https:') && { 'strict-transport-security': 'max-age=31536000' }),
  };
}

const withRest = (path: string, methods: readonly Route[]): string =>
  methods.some((route) => route.rest) ? path.replace(/\}$/, '...}') : path;

/** Serves one request of a path that takes `methods` (none: there is no such path). */
function createServer(house: House): (c: Context, methods: readonly Route[]) => Promise<Response> {
  const { deployment, platform } = house;
  const { limits, metrics } = deployment;
  const newRequestId = requestIds(platform);
  const openIn = new Map<Route | undefined, number>();

  /** Takes its place among the open requests: those of most routes are counted together. @throws Refusal overloaded */
  function enter(route: Route | undefined): () => void {
    const most = deployment.ledger.confirming?.waits ? route?.room : undefined;
    const room = most === undefined ? undefined : route;
    const open = (openIn.get(room) ?? 0) + 1;
    if (open > (most ?? limits.openRequests) && !route?.always) throw new Refusal('overloaded', 'open_requests');
    openIn.set(room, open);
    return () => openIn.set(room, (openIn.get(room) ?? 1) - 1);
  }

  return async (c, methods) => {
    const started = platform.now();
    const exchange: Exchange = {
      house,
      c,
      request: newRequestId(),
      trace: readTrace(c.req.raw.headers.get('traceparent')),
      address: house.front.address(c),
      deadline: deadlineIn(Math.min(limits.requestMs, house.front.left(c) ?? limits.requestMs), platform.now),
      query: {},
      facts: {},
    };
    let leave: (() => void) | undefined;
    let response: Response;
    try {
      const route = routeFor(c, methods);
      leave = enter(route);
      refuseElsewhere(route, deployment.ledger);
      if (route.produces === 'application/json') checkAccept(c.req.raw.headers.get('accept'), route.alsoProduces);
      exchange.query = readQuery(c.req.raw.url, route.query);
      response = await route.handle(exchange);
    } catch (error) {
      response = refuse(exchange, methods, error);
    }
    leave?.();

    const { facts } = exchange;
    const path = methods[0]?.path ?? 'none';
    metrics.add('hallpass_http_requests_total', { route: path, status: String(response.status) });
    facts.request = exchange.request;
    facts.trace = exchange.trace;
    facts.method = knownMethods.has(c.req.method) ? c.req.method : 'other';
    facts.route = path;
    facts.status = response.status;
    facts.ms = platform.now() - started;
    if (exchange.quiet !== true || response.status >= 400)
      platform.log(response.status >= 500 ? 'error' : 'info', 'request', facts);
    return response;
  };
}

const ofTheLog = /^\/v1\/(?:issuances|trace|lockdowns|erasures|log)(?:\/(?!key$)|$)/;

/** What is asked of the ledger is no route of a broker whose ledger is elsewhere. @throws Refusal not_found, with its URL as the hint */
function refuseElsewhere({ path }: Route, { elsewhere }: House['deployment']['ledger']): void {
  if (elsewhere === undefined || !ofTheLog.test(path)) return;
  throw new Refusal('not_found', 'ledger_elsewhere', { hint: `Ask the ledger: ${elsewhere}` });
}

const knownMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** @throws Refusal not_found, method_not_allowed */
function routeFor(c: Context, methods: readonly Route[]): Route {
  if (methods.length === 0) throw new Refusal('not_found', 'no_route', { detail: 'There is no such route.' });
  const method = c.req.method === 'HEAD' ? 'GET' : c.req.method;
  const route = methods.find((candidate) => candidate.method === method);
  if (route === undefined) throw new Refusal('method_not_allowed', 'no_method');
  return route;
}

/** Turns whatever was thrown into a problem. What is no Refusal is a bug: the log says where, the caller learns nothing. */
function refuse(exchange: Exchange, methods: readonly Route[], error: unknown): Response {
  const refusal = error instanceof Refusal ? error : new Refusal('internal', 'uncaught', { cause: error });
  const { facts } = exchange;
  Object.assign(facts, refusal.options.facts);
  facts.code = refusal.code;
  facts.reason = refusal.reason;
  exchange.house.deployment.metrics.add('hallpass_refusals_total', { code: refusal.code, reason: refusal.reason });
  const asOAuth = methods.some((route) => route.refuses === 'oauth');
  const problem = asOAuth ? oauthErrorOf(refusal, exchange.request) : problemOf(refusal, exchange.request);
  if (problem.status >= 500 && refusal.cause !== undefined) facts.error = placeOf(refusal.cause);
  if (refusal.code === 'method_not_allowed') problem.headers.allow = allowed(methods);
  return answer(exchange, problem.status, problem.body, problem.headers);
}

const allowed = (methods: readonly Route[]) =>
  methods.map((route) => (route.method === 'GET' ? 'GET, HEAD' : route.method)).join(', ');

/** Where a failure was met: its class and the nearest frames. Not its message, which may quote what it choked on. */
function placeOf(error: unknown): string {
  if (!(error instanceof Error)) return `threw ${typeof error}`;
  const stack = error.stack ?? '';
  const frames = stack
    .slice(stack.indexOf(error.message) + error.message.length)
    .split('\n')
    .slice(1, 4);
  return [error.name, ...frames.map((line) => line.trim())].join(' ');
}
