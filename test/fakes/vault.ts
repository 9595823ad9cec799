import { randomBytes } from 'node:crypto';
import { isJsonObject, type JsonObject, parseStrictJsonObject } from '../../src/lib/strict-json.ts';
import { checkToken, type TokenFault, type Trust } from './federation.ts';
import { type FakeAnswer, type FakeCall, type FakeServer, startFake } from './server.ts';
import { FakeLeases } from './vault-leases.ts';
import { FakeTransit } from './vault-transit.ts';

interface Version {
  data: JsonObject | null;
  deleted: string;
  destroyed: boolean;
  /** Default: a moment of long ago. */
  created?: string;
}

export interface FakeVault {
  readonly url: string;
  readonly server: FakeServer;
  readonly calls: FakeServer['calls'];
  /** Roles of the `jwt` auth method; one that is removed is revoked. */
  readonly roles: Map<string, Trust>;
  /** KV version 2 at `secret`, by name. */
  readonly secrets: Map<string, Version[]>;
  /** KV version 1 at `kv`, by name. */
  readonly plain: Map<string, JsonObject>;
  readonly transit: FakeTransit;
  /** Dynamic paths, by what stands behind `/v1/`. */
  readonly leases: FakeLeases;
  /** Names that no policy gives. */
  readonly denied: Set<string>;
  /** Seconds, and whether a token can be renewed; for logins from now on. */
  ttl: number;
  renewable: boolean;
  /** Whether logins give batch tokens, which have no accessor. */
  batch: boolean;
  /** Seconds that a token is renewed for at most. */
  longest: number;
  sealed: boolean;
  /** The one namespace there is; undefined: the root. */
  namespace: string | undefined;
  /** Ends all tokens there are. */
  killTokens(): void;
  close(): Promise<void>;
}

const json = (status: number, body: unknown): FakeAnswer => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});
const errors = (status: number, ...said: string[]) => json(status, { errors: said });
const denied = errors(403, '1 error occurred:\n\t* permission denied\n\n');
const nothing: FakeAnswer = { status: 204 };

const sentences: Readonly<Record<TokenFault, string>> = {
  not_a_token: 'malformed token',
  untrusted: 'invalid subject (sub) claim',
  expired: 'invalid not before (nbf) claim: token not yet valid',
  algorithm: 'unsupported signing algorithm',
  unknown_key: 'no known key successfully validated the token signature',
  signature: 'no known key successfully validated the token signature',
};

/** An OpenBao in memory: the `jwt` auth method, which verifies the assertion for real; tokens; leases; KV 2, KV 1, transit. */
export async function startVault(roles: Readonly<Record<string, Trust>> = {}): Promise<FakeVault> {
  const tokens = new Map<string, { until: number; ttl: number; accessor: string }>();

  const auth = (token: string, ttl: number) => {
    const accessor = tokens.get(token)?.accessor ?? '';
    return json(200, { auth: { client_token: token, lease_duration: ttl, renewable: fake.renewable, accessor } });
  };

  async function login(body: JsonObject): Promise<FakeAnswer> {
    const trust = fake.roles.get(String(body.role));
    if (trust === undefined) return errors(400, `role "${body.role}" could not be found`);
    const checked = await checkToken(String(body.jwt), [trust]);
    if ('fault' in checked) return errors(400, `error validating token: ${sentences[checked.fault]}`);
    const token = `s.${randomBytes(12).toString('hex')}`;
    const accessor = fake.batch ? '' : randomBytes(12).toString('hex');
    tokens.set(token, { until: Date.now() + fake.ttl * 1000, ttl: fake.ttl, accessor });
    return auth(token, fake.ttl);
  }

  /** Looks a token up, or renews it, by its accessor. */
  function byAccessor(path: string, { accessor, increment }: JsonObject): FakeAnswer {
    const [token, found] = [...tokens].find(([, one]) => one.accessor !== '' && one.accessor === accessor) ?? [];
    if (token === undefined || found === undefined || found.until <= Date.now()) return errors(403, 'invalid accessor');
    if (path.endsWith('lookup-accessor'))
      return json(200, { data: { accessor, ttl: Math.floor((found.until - Date.now()) / 1000) } });
    const ttl = Math.min(Number(increment), fake.longest);
    found.until = Date.now() + ttl * 1000;
    return auth(token, ttl);
  }

  function leased(path: string, token: string, body: JsonObject): FakeAnswer {
    const { leases } = fake;
    const name = path.slice('/v1/'.length);
    const said =
      name === 'sys/leases/revoke'
        ? leases.revoke(body)
        : name === 'sys/leases/renew'
          ? leases.renew(body)
          : leases.make(name, token, body);
    if ('error' in said) return said.error === '' ? errors(said.status) : errors(said.status, said.error);
    return Object.keys(said.body).length === 0 ? nothing : json(200, said.body);
  }

  async function answer(call: FakeCall): Promise<FakeAnswer> {
    if (fake.sealed) return errors(503, 'Vault is sealed');
    if (call.headers['x-vault-namespace'] !== fake.namespace) return errors(404, 'namespace not found');
    const path = decodeURIComponent(call.url.pathname);
    const body = call.body === '' ? {} : parseStrictJsonObject(call.body);
    if (path === '/v1/auth/jwt/login') return login(body);
    const token = String(call.headers['x-vault-token']);
    const held = tokens.get(token);
    if (held === undefined || held.until <= Date.now()) return errors(403, 'permission denied');
    if (path === '/v1/auth/token/lookup-self') return json(200, { data: { id: token } });
    if (path === '/v1/auth/token/renew-self') {
      held.until = Date.now() + held.ttl * 1000;
      return auth(token, held.ttl);
    }
    if (fake.denied.has(path.slice('/v1/'.length))) return denied;
    if (/^\/v1\/auth\/token\/(lookup|renew)-accessor$/.test(path)) return byAccessor(path, body);
    if (path.startsWith('/v1/sys/leases/') || fake.leases.engines.has(path.slice('/v1/'.length)))
      return leased(path, token, body);
    if (path.startsWith('/v1/transit/')) {
      const said = fake.transit.answer(call.method, path.slice('/v1/transit/'.length), body);
      return 'data' in said ? json(200, { data: said.data }) : errors(said.status, said.error);
    }
    const [, kind = '', name = ''] = /^\/v1\/(secret\/data|secret\/metadata|kv)\/(.*)$/.exec(path) ?? [];
    if (fake.denied.has(name)) return denied;
    if (call.url.searchParams.get('list') === 'true')
      return list(kind === 'kv' ? fake.plain.keys() : fake.secrets.keys(), name);
    if (kind === 'secret/data') return values(call, name, body);
    if (kind === 'secret/metadata') return about(call, name);
    const found = fake.plain.get(name);
    return kind === 'kv' && found !== undefined ? json(200, { data: found }) : errors(404);
  }

  function values({ method, url }: FakeCall, name: string, body: JsonObject): FakeAnswer {
    const versions = fake.secrets.get(name) ?? [];
    if (method === 'POST') {
      if (!isJsonObject(body.data)) return errors(400, 'no data provided');
      fake.secrets.set(name, [
        ...versions,
        { data: body.data, deleted: '', destroyed: false, created: new Date().toISOString() },
      ]);
      return json(200, { data: { version: versions.length + 1 } });
    }
    const number = Number(url.searchParams.get('version') ?? versions.length) || versions.length;
    const version = versions[number - 1];
    if (version === undefined) return errors(404);
    const { data, deleted, destroyed } = version;
    const gone = deleted !== '' || destroyed;
    const metadata = { version: number, deletion_time: deleted, destroyed };
    return json(gone ? 404 : 200, { data: { data: gone ? null : data, metadata } });
  }

  function about({ method }: FakeCall, name: string): FakeAnswer {
    const versions = fake.secrets.get(name);
    if (method === 'DELETE') {
      fake.secrets.delete(name);
      return nothing;
    }
    if (versions === undefined) return errors(404);
    const all = versions.map(({ deleted, destroyed, created = '2026-11-22T12:00:00.123456789Z' }, at) => [
      String(at + 1),
      { created_time: created, deletion_time: deleted, destroyed },
    ]);
    return json(200, { data: { current_version: versions.length, versions: Object.fromEntries(all) } });
  }

  const server = await startFake(answer);
  const fake: FakeVault = {
    url: server.url,
    server,
    calls: server.calls,
    roles: new Map(Object.entries(roles)),
    secrets: new Map(),
    plain: new Map(),
    transit: new FakeTransit(),
    leases: new FakeLeases((token) => tokens.get(token)?.until),
    denied: new Set(),
    ttl: 900,
    renewable: true,
    batch: false,
    longest: 3600,
    sealed: false,
    namespace: undefined,
    killTokens: () => tokens.clear(),
    close: () => server.close(),
  };
  return fake;
}

/** The next level below a folder, folders with a slash behind them. */
function list(names: Iterable<string>, folder: string): FakeAnswer {
  const below = [...names].filter((name) => name.startsWith(folder)).map((name) => name.slice(folder.length));
  const keys = [...new Set(below.map((name) => name.replace(/\/.*$/, '/')))].sort();
  return keys.length === 0 ? errors(404) : json(200, { data: { keys } });
}
