import { audienceFaults, isWorkerBinding } from '../../identity/index.ts';
import type { Fault } from '../../lib/fault.ts';
import type { Runtime } from '../../lib/platform.ts';
import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import { meant, type Report } from '../sections/entries.ts';
import { isThirdParty, sameService, textsOf } from './audiences.ts';
import { checkSigners } from './signer-checks.ts';

/** The sections as written, variables filled in; what is no mapping or list was reported and is empty here. */
export interface Written {
  readonly broker: JsonObject;
  readonly ledger: JsonObject;
  readonly issuers: JsonObject;
  readonly stores: JsonObject;
  readonly credentials: JsonObject;
  readonly roles: JsonObject;
  readonly grants: readonly Json[];
  readonly sinks: JsonObject;
}

/** Where the config is to run. */
export interface Here {
  readonly runtime: Runtime;
  readonly folder?: string;
}

/** What no schema can say of one section alone: names that must be somewhere, and things that must not meet. */
export function crossCheck(written: Written, { runtime, folder }: Here, report: Report): void {
  checkRefs(written, report);
  checkStoreLoops(written, report);
  checkBroker(written, report);
  checkAudiences(written, report);
  checkWriters(written, report);
  checkSigners(written, runtime, report);
  checkLedger(written, report);
  checkSinks(written, report);
  checkAuthorities(written, report);
  checkBindings(written, runtime, report);
  checkPaths(written, folder, report);
  if (runtime === 'workerd') checkFiles(written, report);
  if (runtime !== 'node') checkArchive(written, runtime, report);
}

/** A folder is lost with the sandbox, and a Worker is nobody to AWS but by Hallpass's own assertion. */
function checkArchive({ ledger: { archive } }: Written, runtime: Runtime, report: Report): void {
  if (!isJsonObject(archive) || typeof archive.to !== 'string') return;
  const path = ['ledger', 'archive', 'to'];
  if (!archive.to.startsWith('s3:'))
    report({ path, message: `a folder keeps nothing on ${runtime}`, hint: 'to: s3://BUCKET/PREFIX' });
  else if (runtime === 'workerd' && archive.assume === undefined)
    report({ path, message: 'a Worker has no identity of AWS', hint: 'assume: the ARN of a role' });
}

/** Certificates are signed where the ledger is: there the CA's key is needed, and nowhere else is it of use. */
function checkAuthorities({ ledger, credentials }: Written, report: Report): void {
  for (const [name, entry] of Object.entries(credentials)) {
    if (!isJsonObject(entry) || (entry.kind !== 'x509' && entry.kind !== 'ssh')) continue;
    const path = ['credentials', name, 'key'];
    if (ledger.kind === 'http' && entry.key !== undefined)
      report({ path, warning: true, message: 'the CA signs where the ledger is, and needs no key here' });
    if (ledger.kind !== 'http' && entry.key === undefined)
      report({ path, message: 'required: the CA signs here, as the ledger does', hint: 'key: { store, name }' });
  }
}

/** Who comes by a service binding has no token, and comes on Workers only. */
function checkBindings({ issuers, grants }: Written, runtime: Runtime, report: Report): void {
  const bound = Object.keys(issuers).filter((name) => isWorkerBinding(issuers[name]));
  for (const name of runtime === 'workerd' ? [] : bound)
    report({ path: ['issuers', name, 'kind'], message: `worker-binding issuers do not run on ${runtime}` });
  const audiences = bound.map((name) => (issuers[name] as { audience?: unknown }).audience);
  for (const [at, name] of bound.entries())
    if (audiences.indexOf(audiences[at]) < at)
      report({ path: ['issuers', name, 'audience'], message: 'another worker-binding issuer has this audience' });
  for (const [at, grant] of grants.entries()) {
    if (!isJsonObject(grant) || !isJsonObject(grant.identity) || !bound.includes(String(grant.identity.issuer)))
      continue;
    for (const member of ['once', 'tokenLife'].filter((name) => grant[name] === true))
      report({ path: ['grants', at, member], message: `${member} is about a token, and this issuer gives none` });
  }
}

function checkRefs({ broker, ledger, issuers, stores, credentials, sinks }: Written, report: Report): void {
  const names = Object.keys(stores);
  for (const { path, store } of refsIn({ broker, ledger, issuers, stores, credentials, sinks }, [])) {
    if (Object.hasOwn(stores, store)) continue;
    report({
      path: [...path, 'store'],
      message: `there is no store ${JSON.stringify(store)}`,
      hint: meant(store, names),
    });
  }
}

// Their members are named by the operator: templates, claims that tokens must carry, what a path of a Vault is told.
const named: ReadonlySet<string> = new Set(['claims', 'require', 'parameters']);

interface FoundRef {
  readonly path: Fault['path'];
  readonly store: string;
  /** Undefined where none was written, or something else than a text. */
  readonly name: string | undefined;
}

/** Every REF below a value. */
export function refsIn(value: Json, path: Fault['path']): FoundRef[] {
  const found: FoundRef[] = [];
  const walk = (node: Json, at: Fault['path']): void => {
    // Most of a config is texts: nothing is made for these.
    if (typeof node !== 'object' || node === null) return;
    if (Array.isArray(node)) {
      node.forEach((item, index) => void walk(item, [...at, index]));
      return;
    }
    const { store, name } = node;
    if (typeof store === 'string') found.push({ path: at, store, name: typeof name === 'string' ? name : undefined });
    for (const member of Object.keys(node)) {
      const inner = node[member] as Json;
      if (typeof inner === 'object' && !named.has(member)) walk(inner, [...at, member]);
    }
  };
  walk(value, path);
  return found;
}

/** By store: those that it is opened with a secret of. */
export const storesOpenedBy = (stores: JsonObject): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(
    Object.entries(stores).map(([name, entry]) => [name, refsIn(entry, []).map(({ store }) => store)]),
  );

// A store that is opened with a secret of its own could never be opened.
function checkStoreLoops({ stores }: Written, report: Report): void {
  const opens = new Map(Object.entries(storesOpenedBy(stores)));
  for (const name of opens.keys()) {
    const seen = new Set<string>();
    const next = [...(opens.get(name) ?? [])];
    for (let store = next.pop(); store !== undefined && !seen.has(name); store = next.pop()) {
      if (seen.has(store)) continue;
      seen.add(store);
      next.push(...(opens.get(store) ?? []));
    }
    if (seen.has(name))
      report({ path: ['stores', name], name: true, message: `the store ${name} needs a secret that it keeps itself` });
  }
}

function checkBroker({ broker, ledger, issuers }: Written, report: Report): void {
  const { url, audience } = broker;
  if (typeof url === 'string') {
    if (url.endsWith('/')) report({ path: ['broker', 'url'], message: 'broker.url ends without a slash' });
    if (url.startsWith('http:')) {
      report({
        path: ['broker', 'url'],
        warning: true,
        message: 'http is for trying things out on this machine',
        hint: 'others reach a broker by https',
      });
    }
    if (url === ledger.url) report({ path: ['ledger', 'url'], message: 'the ledger is this broker itself' });
  }
  const audiences: [Fault['path'], Json | undefined][] = [
    [['broker', 'audience'], audience],
    ...Object.entries(issuers).map(([name, entry]): [Fault['path'], Json | undefined] => [
      ['issuers', name, 'audience'],
      isJsonObject(entry) ? entry.audience : undefined,
    ]),
  ];
  for (const [path, text] of audiences) {
    // The issuers' own presets know some of them already.
    if (typeof text !== 'string' || (path[0] === 'issuers' && audienceFaults(text).length > 0)) continue;
    if (!isForeign(text) && text !== ledger.url) continue;
    const message = 'this audience belongs to another service, whose tokens would then work here';
    report({ path, message, hint: 'workloads ask for a token that is for this broker alone' });
  }
}

/** A broker whose ledger is elsewhere has a URL of its own; under ours it would write of our issuances. */
function checkWriters({ broker, roles }: Written, report: Report): void {
  for (const [name, role] of Object.entries(roles)) {
    if (!isJsonObject(role) || typeof role.writer !== 'string' || role.writer !== broker.url) continue;
    const message = 'a writer that comes over HTTP would write in this ledger’s own name';
    report({ path: ['roles', name, 'writer'], message, hint: 'name the broker.url of that broker' });
  }
}

/** Whether an audience is another service's own. */
export const isForeign = (audience: Json | undefined): boolean =>
  typeof audience === 'string' && (isThirdParty(audience) || audienceFaults(audience).length > 0);

function checkAudiences({ broker, ledger, issuers, stores, credentials }: Written, report: Report): void {
  const own = [
    broker.url,
    broker.audience,
    ...Object.values(issuers).map((entry) => (isJsonObject(entry) ? entry.audience : undefined)),
  ];
  const others = Object.values(stores).flatMap(textsOf);
  for (const [name, entry] of Object.entries(credentials)) {
    if (!isJsonObject(entry)) continue;
    checkReturn(name, entry, [...own, ledger.url], report);
    if (entry.kind !== 'jwt' || typeof entry.audience !== 'string') continue;
    const audience = entry.audience;
    const path = ['credentials', name, 'audience'];
    const refuse = (whose: string) =>
      report({
        path,
        message: `a jwt for ${whose} could be used as Hallpass itself`,
        hint: 'name the service that checks this token',
      });
    if (own.some((text) => typeof text === 'string' && sameService(text, audience))) refuse('this broker');
    else if (typeof ledger.url === 'string' && sameService(ledger.url, audience)) refuse('the ledger');
    else if (isForeign(audience)) refuse("a cloud's or a store's token service");
    else if (others.some((text) => sameService(text, audience))) refuse('a store');
  }
}

/** A token of an account that is handed over is no way to come back as that account. */
function checkReturn(name: string, entry: JsonObject, own: readonly (Json | undefined)[], report: Report): void {
  for (const { member, audiences } of receiversOf(entry)) {
    const isOwn = (text: Json | undefined) =>
      typeof text === 'string' && audiences.some((audience) => sameService(text, audience));
    if (!own.some(isOwn)) continue;
    const message = 'with this token a workload could come to Hallpass as somebody else';
    const hint = 'name the service that checks this token';
    report({ path: ['credentials', name, ...member], message, hint });
  }
}

/** Whom a fetched token is for, by the member that says so. */
function receiversOf({ kind, audiences, scope }: JsonObject): { member: Fault['path']; audiences: string[] }[] {
  if (kind === 'kubernetes-token' && Array.isArray(audiences))
    return audiences.map((audience, at) => ({ member: ['audiences', at], audiences: [String(audience)] }));
  if (kind !== 'azure-token' || typeof scope !== 'string') return [];
  // In Entra's tokens an app is its URI or its id alone.
  const app = scope.replace(/\/+\.default$/, '').replace(/^api:\/\//, '');
  return [{ member: ['scope'], audiences: [app, `api://${app}`] }];
}

function checkLedger({ ledger }: Written, report: Report): void {
  if (ledger.kind === 'http' && ledger.seed !== undefined) {
    report({
      path: ['ledger', 'seed'],
      name: true,
      message: 'a seed is never given to http brokers',
      hint: 'it belongs to the ledger alone',
    });
  }
}

/** Copies are sent from where the log is, and never to one place by two sinks: neither would know its own objects there. */
function checkSinks({ ledger, sinks }: Written, report: Report): void {
  const taken = new Map<string, string>();
  for (const [name, entry] of Object.entries(sinks)) {
    const { kind, path, endpoint, bucket, prefix, send } = isJsonObject(entry) ? entry : {};
    const place = JSON.stringify(
      kind === 's3' ? [oneSpelling(endpoint), bucket, prefix ?? '', send ?? 'records'] : [oneSpelling(path)],
    );
    const other = kind === 's3' || kind === 'file' ? taken.get(place) : undefined;
    if (other !== undefined)
      report({ path: ['sinks', name], name: true, message: `writes where ${other} writes`, hint: 'give each its own' });
    if (kind === 's3' || kind === 'file') taken.set(place, name);
  }
  if (ledger.kind !== 'http') return;
  for (const name of Object.keys(sinks)) {
    const message = 'the ledger is elsewhere, and its records are copied from there';
    report({ path: ['sinks', name], name: true, message, hint: 'write this sink into the config of the ledger' });
  }
}

/** A path, or a URL, without what says nothing in it. */
const oneSpelling = (path: Json | undefined): Json =>
  String(path ?? '')
    .split('/')
    .filter((step, at) => step !== '.' && (step !== '' || at === 0))
    .join('/');

// Without a folder there is nothing that a relative path could count from.
function checkPaths({ broker, ledger, stores, sinks }: Written, folder: string | undefined, report: Report): void {
  if (folder !== undefined) return;
  const walk = (value: Json, path: Fault['path']): void => {
    if (Array.isArray(value)) for (const [index, item] of value.entries()) walk(item, [...path, index]);
    if (!isJsonObject(value)) return;
    if (typeof value.path === 'string' && !/^(?:\/|[A-Za-z]:[\\/])/.test(value.path)) {
      report({ path: [...path, 'path'], message: 'a relative path, and no folder that it could count from' });
    }
    for (const [name, member] of Object.entries(value)) walk(member, [...path, name]);
  };
  walk(broker.signer ?? null, ['broker', 'signer']);
  walk(ledger, ['ledger']);
  for (const [name, entry] of Object.entries(stores)) walk(entry, ['stores', name]);
  walk(sinks, ['sinks']);
}

const files: Readonly<Record<string, string>> = {
  ca: 'a certificate of its own can be pinned',
  caFile: 'a file can be read',
  tokenFile: 'a file can be read',
  jwksFile: 'a file can be read',
};

/** What only a runtime with files and TLS of its own can do, wherever an entry asks for it. */
function checkFiles({ broker, ledger, issuers, stores, credentials, sinks }: Written, report: Report): void {
  const walk = (value: Json, path: Fault['path']): void => {
    if (Array.isArray(value)) for (const [index, item] of value.entries()) walk(item, [...path, index]);
    if (!isJsonObject(value)) return;
    for (const [name, member] of Object.entries(value)) {
      if (named.has(name)) continue;
      const can = Object.hasOwn(files, name) && typeof member === 'string' ? files[name] : undefined;
      if (can === undefined) walk(member, [...path, name]);
      else report({ path: [...path, name], message: `${can} on node and lambda, not on workerd` });
    }
  };
  walk(broker.signer ?? null, ['broker', 'signer']);
  walk(ledger, ['ledger']);
  walk(issuers, ['issuers']);
  walk(stores, ['stores']);
  walk(credentials, ['credentials']);
  walk(sinks, ['sinks']);
}
