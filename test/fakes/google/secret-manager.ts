import type { JsonObject } from '../../../src/lib/strict-json.ts';
import type { FakeAnswer, FakeCall } from '../server.ts';
import { ok, projectNumber, refuse, sum } from './answers.ts';

type State = 'ENABLED' | 'DISABLED' | 'DESTROYED';

interface FakeVersion {
  readonly number: number;
  data: Uint8Array;
  state: State;
  readonly time: string;
}

interface FakeSecret {
  readonly versions: FakeVersion[];
  readonly aliases: Map<string, number>;
  readonly time: string;
  rotation: JsonObject | undefined;
}

/** Enums as numbers, as the client library asks for them (`$alt=json;enum-encoding=int`). */
const stateNumbers = { ENABLED: 1, DISABLED: 2, DESTROYED: 3 };

const verbs: Readonly<Record<string, State>> = { disable: 'DISABLED', enable: 'ENABLED', destroy: 'DESTROYED' };

const path =
  /^\/v1\/(projects\/([^/]+)(?:\/locations\/[^/]+)?)\/secrets(?:\/([^/:]+)(\/versions(?:\/([^/:]+))?)?)?(?::(\w+))?$/;

/** Secret Manager v1: what Hallpass calls, and what an operator does to a version. */
export function fakeSecretManager(now: () => number) {
  const secrets = new Map<string, FakeSecret>();
  /** Names whose access is refused. */
  const denied = new Set<string>();
  /** What is wrong with the checksum of every answer. */
  let checksum: 'wrong' | 'missing' | undefined;
  const time = () => new Date(now()).toISOString();

  function answer({ method, url, body }: FakeCall): FakeAnswer {
    const found = path.exec(decodeURIComponent(url.pathname));
    if (found === null) return refuse('NOT_FOUND');
    const [, parent = '', project = '', name, versioned, wanted, verb] = found;
    const full = (id: string) => `${parent.replace(project, projectNumber(project))}/secrets/${id}`;
    if (name === undefined) return method === 'POST' ? create(full, url) : list(full(''), url);
    if (denied.has(name)) return refuse('PERMISSION_DENIED', 'IAM_PERMISSION_DENIED');
    const secret = secrets.get(full(name));
    if (secret === undefined) return refuse('NOT_FOUND');
    const about = { url, full: full(name), secret };
    if (verb === 'addVersion')
      return add(about, JSON.parse(body) as { payload: { data?: string; dataCrc32c?: string } });
    if (versioned === undefined && method === 'DELETE')
      return secrets.delete(full(name)) ? ok({}) : refuse('NOT_FOUND');
    if (versioned === undefined) return ok({ name: full(name), createTime: secret.time, rotation: secret.rotation });
    if (wanted === undefined) return listVersions(about);
    return ofVersion(about, wanted, verb);
  }

  interface About {
    readonly url: URL;
    readonly full: string;
    readonly secret: FakeSecret;
  }

  function create(full: (id: string) => string, url: URL): FakeAnswer {
    const id = url.searchParams.get('secretId') ?? '';
    if (!/^[A-Za-z0-9_-]{1,255}$/.test(id)) return refuse('INVALID_ARGUMENT');
    if (secrets.has(full(id))) return refuse('ALREADY_EXISTS');
    secrets.set(full(id), { versions: [], aliases: new Map(), time: time(), rotation: undefined });
    return ok({ name: full(id), createTime: time() });
  }

  /** Pages are smaller than asked for, as they may be. */
  function page<T>(all: readonly T[], url: URL): { readonly items: readonly T[]; readonly next: string | undefined } {
    const from = Number(url.searchParams.get('pageToken') || '0');
    const to = from + Math.min(Number(url.searchParams.get('pageSize') ?? '10'), 7);
    return { items: all.slice(from, to), next: to < all.length ? String(to) : undefined };
  }

  function list(prefix: string, url: URL): FakeAnswer {
    const names = [...secrets.keys()].filter(
      (name) => name.startsWith(prefix) && !name.slice(prefix.length).includes('/'),
    );
    const { items, next } = page(names, url);
    return ok({ secrets: items.map((name) => ({ name })), nextPageToken: next, totalSize: names.length });
  }

  function listVersions({ url, full, secret }: About): FakeAnswer {
    const { items, next } = page([...secret.versions].reverse(), url);
    return ok({ versions: items.map((version) => view(url, full, version)), nextPageToken: next });
  }

  const view = (url: URL, full: string, { number, state, time }: FakeVersion) => ({
    name: `${full}/versions/${number}`,
    createTime: time,
    state: url.search.includes('enum-encoding=int') || url.searchParams.has('$alt') ? stateNumbers[state] : state,
  });

  function add(
    { url, full, secret }: About,
    { payload }: { payload: { data?: string; dataCrc32c?: string } },
  ): FakeAnswer {
    const data = Buffer.from(payload.data ?? '', 'base64');
    if (payload.dataCrc32c !== undefined && payload.dataCrc32c !== sum(data)) return refuse('INVALID_ARGUMENT');
    const version: FakeVersion = { number: secret.versions.length + 1, data, state: 'ENABLED', time: time() };
    secret.versions.push(version);
    return ok(view(url, full, version));
  }

  function ofVersion({ url, full, secret }: About, wanted: string, verb: string | undefined): FakeAnswer {
    const number = wanted === 'latest' ? secret.versions.length : (secret.aliases.get(wanted) ?? Number(wanted));
    const version = secret.versions.find((one) => one.number === number);
    if (version === undefined) return refuse('NOT_FOUND');
    if (verb !== undefined && verb in verbs) version.state = verbs[verb] as State;
    if (verb !== 'access') return ok(view(url, full, version));
    if (version.state !== 'ENABLED') return refuse('FAILED_PRECONDITION');
    const dataCrc32c = checksum === undefined ? sum(version.data) : checksum === 'wrong' ? '1' : undefined;
    const payload = { data: Buffer.from(version.data).toString('base64'), dataCrc32c };
    return ok({ name: `${full}/versions/${version.number}`, payload });
  }

  /** What an operator does: a version by its number, of a secret by `PROJECT/NAME`. */
  function secretOf(project: string, name: string): FakeSecret {
    const secret = secrets.get(`projects/${projectNumber(project)}/secrets/${name}`);
    if (secret === undefined) throw new Error(`the fake has no secret ${name}`);
    return secret;
  }

  return {
    answer,
    denied,
    /** Adds a version as an operator would, of a secret that is made where it is not there; returns its number. */
    seed(project: string, name: string, value: string): string {
      const full = `projects/${projectNumber(project)}/secrets/${name}`;
      const fresh: FakeSecret = { versions: [], aliases: new Map(), time: time(), rotation: undefined };
      const secret = secrets.get(full) ?? fresh;
      secrets.set(full, secret);
      const number = secret.versions.length + 1;
      secret.versions.push({ number, data: Buffer.from(value), state: 'ENABLED', time: time() });
      return String(number);
    },
    setState(project: string, name: string, number: number, state: State) {
      const version = secretOf(project, name).versions[number - 1];
      if (version !== undefined) version.state = state;
    },
    alias: (project: string, name: string, alias: string, number: number) =>
      secretOf(project, name).aliases.set(alias, number),
    rotate: (project: string, name: string, nextRotationTime: string) => {
      secretOf(project, name).rotation = { nextRotationTime, rotationPeriod: '86400s' };
    },
    breakChecksums(how: 'wrong' | 'missing') {
      checksum = how;
    },
  };
}
