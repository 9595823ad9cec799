import { crc32c } from '../../lib/crc32c.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { Secret } from '../../lib/secret.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { type Store, StoreError } from '../store.ts';
import type { Page, SecretManager, Version } from './api.ts';
import { isSecretName } from './name.ts';

export interface Secrets {
  /** Loads what calls the API, once. */
  readonly make: () => Promise<SecretManager>;
  /** `projects/P`, or `projects/P/locations/L` for regional secrets. */
  readonly parent: string;
  readonly regional: boolean;
}

/** A number or an alias, which is no number; `latest` is the newest, and fails where that one is switched off. */
const versionPattern = /^([1-9][0-9]{0,18}|(?=.*[A-Za-z_])[A-Za-z0-9_-]{1,63})$/;
/** Bytes of a payload. */
const mostBytes = 65_536;
const mostPages = 50;

/** Secret Manager as a store; the version it reports is always the number. */
export function secretManagerStore({ make, parent, regional }: Secrets): Store {
  const nameOf = (name: string, otherwise: 'absent' | 'invalid' = 'absent') => {
    if (!isSecretName(name)) throw new StoreError(otherwise);
    return `${parent}/secrets/${name}`;
  };

  return {
    async get(name, wanted = 'latest', deadline) {
      const secret = nameOf(name);
      if (!versionPattern.test(wanted)) throw new StoreError('absent');
      const api = await make();
      const { name: full, data, checksum } = await api.access(`${secret}/versions/${wanted}`, deadline);
      const version = numberOf(full, name, 'read');
      if (/^[0-9]+$/.test(wanted) && version !== wanted) throw damaged('other_version');
      if (checksum !== String(crc32c(data))) throw damaged('checksum');
      return { value: new Secret(data), version };
    },

    async describe(name, deadline) {
      const secret = nameOf(name);
      const api = await make();
      const versions = await allPages((token) => api.listVersions(secret, token, deadline));
      const kept = versions.filter(({ state }) => state !== 'DESTROYED');
      const newest = versions[0];
      if (newest === undefined) throw new StoreError('absent', { step: 'describe', reason: 'no_version' });
      const rotation = await api.getRotation(secret, deadline);
      return {
        name,
        version: numberOf(newest.name, name, 'describe'),
        ...(newest.createdAt === undefined ? {} : { createdAt: newest.createdAt }),
        versions: kept.length,
        ...(rotation === undefined
          ? {}
          : { rotation: { enabled: true, ...(rotation.next === undefined ? {} : { next: rotation.next }) } }),
      };
    },

    async list(deadline) {
      const api = await make();
      const names = await allPages((token) => api.listSecrets(parent, token, deadline));
      return names.map((name) => name.slice(name.lastIndexOf('/') + 1)).sort();
    },

    async put(name, value, deadline) {
      const secret = nameOf(name, 'invalid');
      const data = value.reveal();
      if (data.length === 0 || data.length > mostBytes) throw new StoreError('invalid');
      const api = await make();
      const checksum = String(crc32c(data));
      const add = (): Promise<Version> => api.addVersion(secret, data, checksum, deadline);
      const added = await add().catch(async (error) => {
        if (!isFault(error, 'absent')) throw error;
        await create(api, name, deadline);
        return add();
      });
      return { version: numberOf(added.name, name, 'write') };
    },

    async remove(name, deadline) {
      const secret = nameOf(name);
      await (await make()).deleteSecret(secret, deadline);
    },
  };

  async function create(api: SecretManager, name: string, deadline: Deadline): Promise<void> {
    await api.createSecret(parent, name, regional, deadline).catch((error) => {
      // ALREADY_EXISTS: somebody else made it in the same moment.
      if (!(error instanceof UpstreamError && error.facts.status === 409)) throw error;
    });
  }
}

const isFault = (error: unknown, fault: string): boolean => error instanceof UpstreamError && error.fault === fault;

const damaged = (reason: string) => new StoreError('damaged', { step: 'read', reason });

/** The number in `projects/NUMBER/secrets/NAME/versions/7`, of the secret that was asked about and no other. */
function numberOf(full: string, name: string, step: string): string {
  const [, secret, number] = /\/secrets\/([^/]+)\/versions\/([1-9][0-9]{0,18})$/.exec(full) ?? [];
  if (secret !== name || number === undefined) throw new StoreError('unreachable', { step, reason: 'bad_answer' });
  return number;
}

async function allPages<T>(ask: (token: string) => Promise<Page<T>>): Promise<T[]> {
  const all: T[] = [];
  let token = '';
  for (let count = 0; count < mostPages; count++) {
    const { items, next } = await ask(token);
    all.push(...items);
    if (next === '') return all;
    token = next;
  }
  throw new StoreError('unreachable', { step: 'list', reason: 'too_large' });
}
