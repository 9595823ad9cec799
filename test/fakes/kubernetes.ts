import { randomUUID } from 'node:crypto';
import { isJsonObject, type JsonObject, parseStrictJsonObject } from '../../src/lib/strict-json.ts';
import { checkToken, type Trust } from './federation.ts';
import { type FakeAnswer, type FakeCall, type FakeServer, startFake } from './server.ts';
import { type FakeServiceAccounts, makeServiceAccounts } from './token-request.ts';

interface Stored {
  namespace: string;
  name: string;
  uid: string;
  version: number;
  data: Record<string, string>;
}

export interface FakeKubernetes {
  readonly url: string;
  readonly server: FakeServer;
  readonly calls: FakeServer['calls'];
  /** `namespace/name` of Secrets that RBAC does not give. */
  readonly denied: Set<string>;
  /** Tokens of service accounts it takes for what they are, as their cluster signed them. */
  readonly serviceAccounts: Set<string>;
  /** Service accounts that tokens can be had for. */
  readonly accounts: FakeServiceAccounts;
  /** Bearers that it took and takes no more. */
  readonly refused: Set<string>;
  /** Sets one key, as an operator would; gives the resourceVersion. */
  set(namespace: string, name: string, key: string, value: Uint8Array): string;
  /** Takes one key away. */
  unset(namespace: string, name: string, key: string): void;
  close(): Promise<void>;
}

const json = (status: number, body: unknown): FakeAnswer => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});
const status = (code: number, reason: string) =>
  json(code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'words of the server', reason, code });

/** An API server in memory: structured authentication, which verifies the bearer for real, Secrets, TokenRequest. No roles. */
export async function startKubernetes(trust: readonly Trust[] = []): Promise<FakeKubernetes> {
  const stored = new Map<string, Stored>();
  const accounts = makeServiceAccounts();
  let counter = 100;

  function write(namespace: string, name: string, data: Record<string, string>): Stored {
    const id = `${namespace}/${name}`;
    const uid = stored.get(id)?.uid ?? randomUUID();
    const object = { namespace, name, uid, version: ++counter, data };
    stored.set(id, object);
    return object;
  }

  async function isKnown(bearer: string): Promise<boolean> {
    if (fake.refused.has(bearer)) return false;
    return fake.serviceAccounts.has(bearer) || 'claims' in (await checkToken(bearer, trust));
  }

  async function answer(call: FakeCall): Promise<FakeAnswer> {
    if (!(await isKnown((call.headers.authorization ?? '').replace(/^Bearer /, ''))))
      return status(401, 'Unauthorized');
    const account = /^\/api\/v1\/namespaces\/([a-z0-9-]+)\/serviceaccounts\/([a-z0-9.-]+)\/token$/.exec(
      call.url.pathname,
    );
    if (account !== null && call.method === 'POST') {
      const [, namespace = '', name = ''] = account;
      const { code, reason = '', body } = accounts.answer(namespace, name, parseStrictJsonObject(call.body));
      return body === undefined ? status(code, reason) : json(code, body);
    }
    const found = /^\/api\/v1(?:\/namespaces\/([a-z0-9-]+))?\/secrets(?:\/([a-z0-9.-]+))?$/.exec(call.url.pathname);
    if (found === null) return status(404, 'NotFound');
    const [, namespace, name] = found;
    const body = call.body === '' ? {} : parseStrictJsonObject(call.body);
    if (name === undefined && call.method === 'GET') return list(call, namespace);
    if (namespace === undefined) return status(405, 'MethodNotAllowed');
    const wanted = name ?? (isJsonObject(body.metadata) ? String(body.metadata.name) : '');
    if (fake.denied.has(`${namespace}/${wanted}`)) return status(403, 'Forbidden');
    const object = stored.get(`${namespace}/${wanted}`);
    if (call.method === 'POST') {
      if (object !== undefined) return status(409, 'AlreadyExists');
      return json(201, shown(write(namespace, wanted, body.data as Record<string, string>)));
    }
    if (object === undefined) return status(404, 'NotFound');
    return change(call, object, body);
  }

  function change({ method, headers }: FakeCall, object: Stored, body: JsonObject): FakeAnswer {
    const { namespace, name, uid, version, data } = object;
    const expects = [body.metadata, body.preconditions].filter(isJsonObject);
    if (expects.some((one) => (one.resourceVersion ?? String(version)) !== String(version) || (one.uid ?? uid) !== uid))
      return status(409, 'Conflict');
    if (method === 'DELETE') {
      stored.delete(`${namespace}/${name}`);
      return status(200, '');
    }
    if (method === 'GET') return json(200, shown(object));
    if (method !== 'PATCH' || headers['content-type'] !== 'application/merge-patch+json')
      return status(415, 'UnsupportedMediaType');
    const merged = Object.entries({ ...data, ...(body.data as Record<string, string | null>) });
    return json(200, shown(write(namespace, name, Object.fromEntries(merged.filter(isPresent)))));
  }

  function list({ url }: FakeCall, namespace: string | undefined): FakeAnswer {
    const ids = [...stored.keys()].filter((id) => namespace === undefined || id.startsWith(`${namespace}/`)).sort();
    const from = Number(url.searchParams.get('continue') ?? '0');
    const to = from + Number(url.searchParams.get('limit') ?? ids.length);
    const items = ids.slice(from, to).map((id) => shown(stored.get(id) as Stored));
    return json(200, { kind: 'SecretList', metadata: to < ids.length ? { continue: String(to) } : {}, items });
  }

  const server = await startFake(answer);
  const fake: FakeKubernetes = {
    url: server.url,
    server,
    calls: server.calls,
    denied: new Set(),
    serviceAccounts: new Set(),
    accounts,
    refused: new Set(),
    set(namespace, name, key, value) {
      const data = { ...stored.get(`${namespace}/${name}`)?.data, [key]: Buffer.from(value).toString('base64') };
      return String(write(namespace, name, data).version);
    },
    unset(namespace, name, key) {
      const { [key]: _, ...data } = stored.get(`${namespace}/${name}`)?.data ?? {};
      write(namespace, name, data);
    },
    close: () => server.close(),
  };
  return fake;
}

const isPresent = (entry: [string, string | null]): entry is [string, string] => entry[1] !== null;

const shown = ({ namespace, name, uid, version, data }: Stored) => ({
  metadata: { namespace, name, uid, resourceVersion: String(version), creationTimestamp: '2026-11-22T12:00:00Z' },
  data,
});
