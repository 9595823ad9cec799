import { randomBytes } from 'node:crypto';
import { json, refusal } from './azure-answers.ts';
import type { FakeAnswer, FakeCall } from './server.ts';

interface Attributes {
  enabled?: boolean;
  /** Seconds since the epoch. */
  nbf?: number;
  exp?: number;
}

interface Version {
  readonly name: string;
  readonly version: string;
  readonly value: string;
  readonly attributes: Attributes & { created: number; updated: number };
}

export interface AzureSecrets {
  /** Adds a version; returns its name. */
  seed(name: string, value: string, attributes?: Attributes): string;
  /** Of the current version. */
  change(name: string, attributes: Attributes): void;
  clear(): void;
  answer(call: FakeCall): FakeAnswer;
}

const pageSize = 25;
const maxValueBytes = 25 * 1024;
const now = () => Math.floor(Date.now() / 1000);

/** The secrets of a vault: versions, paging, attributes, soft delete. Names differ by more than case. */
export function azureSecrets(base: () => string): AzureSecrets {
  const kept = new Map<string, Version[]>();
  const deleted = new Map<string, Version[]>();
  const versionsOf = (name: string) => kept.get(name.toLowerCase()) ?? [];

  function seed(name: string, value: string, attributes: Attributes = {}): string {
    const version = randomBytes(16).toString('hex');
    const made = { name, version, value, attributes: { enabled: true, ...attributes, created: now(), updated: now() } };
    kept.set(name.toLowerCase(), [...versionsOf(name), made]);
    return version;
  }

  const view = ({ name, version, attributes }: Version) => ({ id: `${base()}/secrets/${name}/${version}`, attributes });

  /** One page, and a link to the next. */
  function page<T>({ url }: FakeCall, all: readonly T[]): FakeAnswer {
    const from = Number(url.searchParams.get('$skiptoken') ?? 0);
    const next = from + pageSize < all.length ? from + pageSize : undefined;
    const link = `${base()}${url.pathname}?api-version=7.4&$skiptoken=${next}`;
    return json(200, { value: all.slice(from, from + pageSize), nextLink: next === undefined ? null : link });
  }

  function put(name: string, body: string): FakeAnswer {
    const { value, attributes } = JSON.parse(body);
    if (deleted.has(name.toLowerCase())) return refusal(409, 'Conflict', 'ObjectIsDeletedButRecoverable');
    if (typeof value !== 'string' || Buffer.byteLength(value) > maxValueBytes) return refusal(400, 'BadParameter');
    const version = seed(name, value, attributes);
    return json(200, { ...view(versionsOf(name).at(-1) as Version), value, version });
  }

  function remove(name: string): FakeAnswer {
    const all = versionsOf(name);
    const last = all.at(-1);
    if (last === undefined) return refusal(404, 'SecretNotFound');
    deleted.set(name.toLowerCase(), all);
    kept.delete(name.toLowerCase());
    return json(200, { ...view(last), recoveryId: `${base()}/deletedsecrets/${name}`, deletedDate: now() });
  }

  function get(name: string, version: string | undefined): FakeAnswer {
    const found = version ? versionsOf(name).find((one) => one.version === version) : versionsOf(name).at(-1);
    if (found === undefined) return refusal(404, 'SecretNotFound');
    if (found.attributes.enabled === false) return refusal(403, 'Forbidden', 'SecretDisabled');
    // nbf and exp are remarks, as in the real service.
    return json(200, { ...view(found), value: found.value });
  }

  return {
    seed,
    change: (name, attributes) => void Object.assign(versionsOf(name).at(-1)?.attributes ?? {}, attributes),
    clear() {
      kept.clear();
      deleted.clear();
    },
    answer(call) {
      const [, kind, name, version] = call.url.pathname.split('/');
      if (kind !== 'secrets') return refusal(404, 'NotFound');
      if (!name) {
        const current = [...kept.values()].map((all) => all.at(-1) as Version);
        const items = current.map((one) => ({ ...view(one), id: `${base()}/secrets/${one.name}` }));
        return page(call, items.reverse());
      }
      if (!/^[0-9a-zA-Z-]{1,127}$/.test(name)) return refusal(400, 'BadParameter');
      if (call.method === 'PUT') return put(name, call.body);
      if (call.method === 'DELETE') return remove(name);
      if (version === 'versions') return page(call, versionsOf(name).map(view));
      return get(name, version);
    },
  };
}
