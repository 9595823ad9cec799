import { toBase64 } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { isJsonObject, type JsonObject } from '../../lib/strict-json.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { type KubernetesCall, openKubernetes } from '../../sessions/kubernetes.ts';
import type { KubernetesConfig } from '../kubernetes.ts';
import { type Store, type StoreDeps, StoreError } from '../store.ts';
import { formatName, parseName, type SecretName } from './name.ts';
import { readSecret, type SecretObject, secretIn } from './secret-object.ts';

const maxValueBytes = 65_536;
/** A Secret holds 1 MiB, a third more in base64, beside its metadata. */
const maxSecretBytes = 2 * 1024 * 1024;
const pageSize = 20;
const maxPages = 250;
/** Bounds the race with other writers. */
const maxTries = 5;

/** Secrets of one namespace, or of all; a version is the `resourceVersion`, of which only the newest can be read. */
export function open(config: KubernetesConfig, deps: StoreDeps): Store {
  const cluster = openKubernetes(config, deps);
  const { namespace } = config;

  function nameOf(name: string, fault: 'absent' | 'invalid' = 'absent'): SecretName {
    const parsed = parseName(name, namespace);
    if (parsed === undefined) throw new StoreError(fault);
    return parsed;
  }

  async function find({ namespace, secret, key }: SecretName, step: string, deadline: Deadline): Promise<SecretObject> {
    const call = { method: 'GET', path: `${secretsIn(namespace)}/${secret}`, step, maxBytes: maxSecretBytes } as const;
    const found = readSecret(await cluster.ask(call, deadline));
    if (key !== undefined && !Object.hasOwn(found.data, key))
      throw new StoreError('absent', { step, code: 'NoSuchKey' });
    return found;
  }

  /** Again while another writer was faster. */
  async function racing<T>(step: string, work: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof UpstreamError) || error.facts.status !== 409) throw error;
        if (tries >= maxTries) throw new UpstreamError('unreachable', { ...error.facts, step, reason: 'conflict' });
      }
    }
  }

  return {
    async get(name, version, deadline) {
      const parsed = nameOf(name);
      const found = await find(parsed, 'read', deadline);
      const value = secretIn(found, parsed.key);
      if (value === undefined || (version !== undefined && version !== found.resourceVersion))
        throw new StoreError('absent');
      return { value, version: found.resourceVersion };
    },
    async describe(name, deadline) {
      const { resourceVersion, createdAt } = await find(nameOf(name), 'read', deadline);
      return { name, version: resourceVersion, createdAt, versions: 1 };
    },
    async list(deadline) {
      const names: string[] = [];
      let next = '';
      for (let page = 0; page < maxPages; page++) {
        const path = `${secretsIn(namespace)}?limit=${pageSize}${next === '' ? '' : `&continue=${encodeURIComponent(next)}`}`;
        const call = {
          method: 'GET',
          path,
          step: 'list',
          faultOf: ofList,
          maxBytes: pageSize * maxSecretBytes,
        } as const;
        const { items, metadata } = await cluster.ask(call, deadline);
        for (const item of Array.isArray(items) ? items : []) {
          const { namespace: space, name: secret, data } = readSecret(item);
          for (const key of Object.keys(data)) names.push(formatName({ namespace: space, secret, key }, namespace));
        }
        const more = isJsonObject(metadata) ? metadata.continue : undefined;
        if (typeof more !== 'string' || more === '') return names.sort();
        next = more;
      }
      throw new UpstreamError('unreachable', { step: 'list', reason: 'too_many' });
    },
    async put(name, value, deadline) {
      const { namespace: space, secret, key } = nameOf(name, 'invalid');
      const bytes = value.reveal();
      if (key === undefined || bytes.length === 0 || bytes.length > maxValueBytes) throw new StoreError('invalid');
      const data = { [key]: toBase64(bytes) };
      const path = secretsIn(space);
      const write = (call: Pick<KubernetesCall, 'method' | 'path'> & { body: JsonObject }) =>
        cluster.ask({ ...call, step: 'write', maxBytes: maxSecretBytes }, deadline);
      return racing('write', async () => {
        // A merge patch changes this key alone, whatever others write beside it.
        const patched = await write({ method: 'PATCH', path: `${path}/${secret}`, body: { data } }).catch(unlessAbsent);
        const made = { apiVersion: 'v1', kind: 'Secret', metadata: { name: secret }, type: 'Opaque', data };
        const { resourceVersion } = readSecret(patched ?? (await write({ method: 'POST', path, body: made })));
        return { version: resourceVersion };
      });
    },
    async remove(name, deadline) {
      const parsed = nameOf(name);
      const path = `${secretsIn(parsed.namespace)}/${parsed.secret}`;
      return racing('remove', async () => {
        const { uid, resourceVersion, data } = await find(parsed, 'remove', deadline);
        const { key } = parsed;
        const call = { path, step: 'remove', maxBytes: maxSecretBytes } as const;
        // What was read is what is changed: a key written since is not removed with the Secret.
        if (key === undefined || Object.keys(data).length === 1) {
          const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion } };
          await cluster.ask({ ...call, method: 'DELETE', body }, deadline);
        } else {
          const body = { metadata: { resourceVersion }, data: { [key]: null } };
          await cluster.ask({ ...call, method: 'PATCH', body }, deadline);
        }
      });
    },
  };
}

const secretsIn = (namespace: string | undefined): string =>
  `/api/v1/${namespace === undefined ? '' : `namespaces/${namespace}/`}secrets`;

function unlessAbsent(error: unknown): undefined {
  if (!(error instanceof UpstreamError) || error.fault !== 'absent') throw error;
}

/** A list that took too long to read on is 410. */
const ofList = (status: number) => (status === 410 ? 'unreachable' : undefined);
