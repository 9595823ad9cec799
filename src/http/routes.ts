import type * as s from '../lib/schema/index.ts';
import {
  explainDecision,
  issueCredential,
  issueCredentials,
  renewLease,
  revokeLease,
  showLease,
} from './credentials.ts';
import { showBrokerDiscovery, showBrokerKeys, showWorkloadsDiscovery, showWorkloadsKeys } from './discovery.ts';
import type { Exchange } from './exchange.ts';
import { showHealth, showMetrics, showOpenApi, showReadiness } from './operations.ts';
import { followQuery, leasesQuery, lockdownsQuery, pendingQuery, successionQuery } from './schemas.ts';

export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** As OpenAPI writes it; also the label in metrics and the log, as the raw path is the caller's text. */
  readonly path: string;
  /** The last parameter takes the rest of the path, slashes too. */
  readonly rest?: true;
  /** Of an answer; where it is JSON, Accept must take it. Absent: the answer has no body. */
  readonly produces?: 'application/json' | 'application/octet-stream' | 'text/plain';
  /** What else Accept may ask for. */
  readonly alsoProduces?: readonly string[];
  /**
   * Query parameters; absent: none are taken. `ignored`: public documents that crawlers decorate. `later`: the handler
   * checks them, with a schema that no start waits for.
   */
  readonly query?: s.AnyObject | 'ignored' | 'later';
  /** Answered even when too many requests are open. */
  readonly always?: true;
  /** So many at once, whatever else is open: nobody else's requests must keep these away, nor these others. */
  readonly room?: number;
  /** Refused in OAuth's shape instead of as a problem. */
  readonly refuses?: 'oauth';
  /** Also lies where RFC 8414 section 3.1 puts it: between the host and the path of `broker.url`. */
  readonly beforePath?: true;
  /** Answers 201 where it made something, else 200. */
  readonly makes?: true;
  readonly handle: (exchange: Exchange) => Response | Promise<Response>;
}

const json = 'application/json';
const text = 'text/plain';
const binary = 'application/octet-stream';

/** A handler in code that is loaded when it is first asked for: a start waits for what most calls need, and no more. */
function later<M>(load: () => Promise<M>, pick: (module: M) => Route['handle']): Route['handle'] {
  let handle: Route['handle'] | undefined;
  return (exchange) => {
    if (handle !== undefined) return handle(exchange);
    return load().then((module) => {
      handle = pick(module);
      return handle(exchange);
    });
  };
}

const auditors = () => import('./auditors.ts');
const log = () => import('./log.ts');
const erasures = () => import('./erasures.ts');
const leasesSweep = () => import('./leases-sweep.ts');
const lockdowns = () => import('./lockdowns.ts');
const succession = () => import('./succession.ts');
const oauth = () => import('./oauth.ts');
const rotate = () => import('./rotate.ts');
const trace = () => import('./trace.ts');

/** Every route there is: the app is registered from this table and the OpenAPI document is written from it. */
export const routes = {
  issueCredential: { method: 'POST', path: '/v1/credentials/{name}', produces: json, handle: issueCredential },
  issueCredentials: { method: 'POST', path: '/v1/credentials', produces: json, handle: issueCredentials },
  rotateCredential: {
    method: 'POST',
    path: '/v1/credentials/{name}/rotate',
    produces: json,
    handle: later(rotate, (module) => module.rotateCredential),
  },
  exchangeToken: {
    method: 'POST',
    path: '/oauth/token',
    produces: json,
    refuses: 'oauth',
    handle: later(oauth, (module) => module.exchangeToken),
  },
  listLeases: {
    method: 'GET',
    path: '/v1/leases',
    produces: json,
    query: leasesQuery,
    handle: later(leasesSweep, (module) => module.listLeases),
  },
  sweepLeases: {
    method: 'POST',
    path: '/v1/leases/sweep',
    produces: json,
    handle: later(leasesSweep, (module) => module.sweepLeases),
  },
  showLease: { method: 'GET', path: '/v1/leases/{id}', produces: json, handle: showLease },
  renewLease: { method: 'POST', path: '/v1/leases/{id}/renew', produces: json, handle: renewLease },
  revokeLease: { method: 'DELETE', path: '/v1/leases/{id}', handle: revokeLease },
  explainDecision: { method: 'POST', path: '/v1/explain/{name}', produces: json, handle: explainDecision },
  addLockdown: {
    method: 'POST',
    path: '/v1/lockdowns',
    produces: json,
    makes: true,
    handle: later(lockdowns, (module) => module.addLockdown),
  },
  listLockdowns: {
    method: 'GET',
    path: '/v1/lockdowns',
    produces: json,
    query: lockdownsQuery,
    handle: later(lockdowns, (module) => module.listLockdowns),
  },
  liftLockdown: {
    method: 'DELETE',
    path: '/v1/lockdowns/{id}',
    produces: json,
    handle: later(lockdowns, (module) => module.liftLockdown),
  },
  revokeLocked: {
    method: 'POST',
    path: '/v1/lockdowns/{id}/revoke',
    produces: json,
    handle: later(lockdowns, (module) => module.revokeLocked),
  },
  eraseDisclosures: {
    method: 'POST',
    path: '/v1/erasures',
    produces: json,
    handle: later(erasures, (module) => module.eraseDisclosures),
  },
  listIssuances: {
    method: 'GET',
    path: '/v1/issuances',
    produces: json,
    alsoProduces: ['application/x-ndjson', 'text/csv'],
    query: 'later',
    handle: later(auditors, (module) => module.listIssuances),
  },
  showIssuance: {
    method: 'GET',
    path: '/v1/issuances/{id}',
    produces: json,
    handle: later(auditors, (module) => module.showIssuance),
  },
  traceValue: {
    method: 'POST',
    path: '/v1/trace',
    produces: json,
    handle: later(trace, (module) => module.traceValue),
  },
  appendEntries: {
    method: 'POST',
    path: '/v1/log/entries',
    produces: json,
    handle: later(log, (module) => module.appendEntries),
  },
  listPending: {
    method: 'GET',
    path: '/v1/log/issuances',
    produces: json,
    query: pendingQuery,
    handle: later(log, (module) => module.listPending),
  },
  showWritersIssuance: {
    method: 'GET',
    path: '/v1/log/issuances/{id}',
    produces: json,
    handle: later(log, (module) => module.showWritersIssuance),
  },
  showCheckpoint: {
    method: 'GET',
    path: '/v1/log/checkpoint',
    produces: text,
    handle: later(log, (module) => module.showCheckpoint),
  },
  showCosigned: {
    method: 'GET',
    path: '/v1/log/cosigned',
    produces: text,
    handle: later(log, (module) => module.showCosigned),
  },
  showTile: {
    method: 'GET',
    path: '/v1/log/tile/{tile}',
    rest: true,
    produces: binary,
    handle: later(log, (module) => module.showTile),
  },
  showSuccession: {
    method: 'GET',
    path: '/v1/log/succession',
    produces: json,
    query: successionQuery,
    handle: later(succession, (module) => module.showSuccession),
  },
  claimSuccession: {
    method: 'POST',
    path: '/v1/log/succession',
    produces: json,
    handle: later(succession, (module) => module.claimSuccession),
  },
  followLog: {
    method: 'GET',
    path: '/v1/log/follow',
    room: 64,
    produces: json,
    query: followQuery,
    handle: later(succession, (module) => module.followLog),
  },
  rollLog: {
    method: 'POST',
    path: '/v1/log/roll',
    produces: json,
    handle: later(succession, (module) => module.rollLog),
  },
  showCheckpointOf: {
    method: 'GET',
    path: '/v1/log/{log}/checkpoint',
    produces: text,
    handle: later(log, (module) => module.showCheckpoint),
  },
  showCosignedOf: {
    method: 'GET',
    path: '/v1/log/{log}/cosigned',
    produces: text,
    handle: later(log, (module) => module.showCosigned),
  },
  showTileOf: {
    method: 'GET',
    path: '/v1/log/{log}/tile/{tile}',
    rest: true,
    produces: binary,
    handle: later(log, (module) => module.showTile),
  },
  showLogKeyOf: {
    method: 'GET',
    path: '/v1/log/{log}/key',
    produces: text,
    query: 'ignored',
    handle: later(log, (module) => module.showLogKey),
  },
  showLogKey: {
    method: 'GET',
    path: '/v1/log/key',
    produces: text,
    query: 'ignored',
    handle: later(log, (module) => module.showLogKey),
  },
  showBrokerDiscovery: {
    method: 'GET',
    path: '/.well-known/openid-configuration',
    produces: json,
    query: 'ignored',
    handle: showBrokerDiscovery,
  },
  showBrokerKeys: {
    method: 'GET',
    path: '/.well-known/jwks.json',
    produces: json,
    query: 'ignored',
    handle: showBrokerKeys,
  },
  showWorkloadsDiscovery: {
    method: 'GET',
    path: '/workloads/.well-known/openid-configuration',
    produces: json,
    query: 'ignored',
    handle: showWorkloadsDiscovery,
  },
  showWorkloadsKeys: {
    method: 'GET',
    path: '/workloads/.well-known/jwks.json',
    produces: json,
    query: 'ignored',
    handle: showWorkloadsKeys,
  },
  showAuthorizationServer: {
    method: 'GET',
    path: '/.well-known/oauth-authorization-server',
    produces: json,
    query: 'ignored',
    beforePath: true,
    handle: later(oauth, (module) => module.showAuthorizationServer),
  },
  showHealth: { method: 'GET', path: '/healthz', produces: json, query: 'ignored', always: true, handle: showHealth },
  showReadiness: { method: 'GET', path: '/readyz', produces: json, query: 'ignored', handle: showReadiness },
  showMetrics: { method: 'GET', path: '/metrics', produces: text, query: 'ignored', always: true, handle: showMetrics },
  showOpenApi: { method: 'GET', path: '/openapi.json', produces: json, query: 'ignored', handle: showOpenApi },
} as const satisfies Readonly<Record<string, Route>>;

export type Operation = keyof typeof routes;
