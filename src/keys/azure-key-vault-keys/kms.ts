import { concat, fromBase64Url, sha256, toBase64Url, toHex } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { isVaultVersion, resourceOf } from '../../sessions/azure/cloud.ts';
import { type AskVault, openVault } from '../../sessions/azure/key-vault.ts';
import { keepAzureSession } from '../../sessions/azure/login.ts';
import type { SessionDeps } from '../../sessions/session.ts';
import type { Kms, KmsModule, KmsVersion } from '../kms.ts';
import type { AzureKeyConfig } from './members.ts';

const maxVersions = 4;
/** Pages of 25 versions that are looked through. */
const maxPages = 20;
const wrapping = 'RSA-OAEP-256';
const versionBytes = 16;

/** A key in an Azure Key Vault; `id` of a version is Key Vault's own, 32 hex digits. */
export const open: KmsModule['open'] = (config, deps) => openKey(config as AzureKeyConfig, deps);

function openKey({ vault, key, wrap = key, identity }: AzureKeyConfig, deps: Omit<SessionDeps, 'assert'>): Kms {
  const { origin } = new URL(vault);
  const session = keepAzureSession({ resource: resourceOf(vault), identity }, deps);
  const askVault = openVault(vault, session, deps);

  const ask = (step: string, path: string, deadline: Deadline, body?: JsonObject): Promise<JsonObject> => {
    deps.step?.(step);
    const url = `${origin}/keys/${path}?api-version=7.4`;
    const call = { step, method: body === undefined ? 'GET' : 'POST', url };
    return askVault(body === undefined ? call : { ...call, body: JSON.stringify(body) }, deadline);
  };

  return {
    async versions(deadline) {
      const first = `${origin}/keys/${key}/versions?api-version=7.4`;
      const listed = await listVersions(askVault, first, deps, deadline);
      const newest = listed.sort((a, b) => b.created - a.created).slice(0, maxVersions);
      // The list has no public keys.
      const found = await Promise.all(newest.map(({ id }) => ask('versions', `${key}/${id}`, deadline)));
      return found.map((answer, at) => versionOf((newest[at] as Listed).id, answer));
    },
    async sign({ id, alg }, data, deadline) {
      const value = toBase64Url(sha256(data));
      return bytesOf(await ask('sign', `${key}/${id}/sign`, deadline, { alg, value }), 'sign');
    },
    async encrypt(plain, deadline) {
      const answer = await ask('encrypt', `${wrap}/wrapkey`, deadline, { alg: wrapping, value: toBase64Url(plain) });
      const version = idOf(answer.kid);
      if (version === undefined) throw notUnderstood('encrypt');
      // Only the version that sealed it opens it.
      return concat(Buffer.from(version, 'hex'), bytesOf(answer, 'encrypt'));
    },
    async decrypt(sealed, deadline) {
      const version = toHex(sealed.subarray(0, versionBytes));
      if (!isVaultVersion(version)) throw new UpstreamError('damaged', { step: 'decrypt' });
      const value = toBase64Url(sealed.subarray(versionBytes));
      return bytesOf(
        await ask('decrypt', `${wrap}/${version}/unwrapkey`, deadline, { alg: wrapping, value }),
        'decrypt',
      );
    },
    async rotate(deadline) {
      await ask('rotate', `${key}/rotate`, deadline, {});
    },
  };
}

interface Listed {
  readonly id: string;
  /** Seconds since the epoch. */
  readonly created: number;
}

/** The versions that may sign now, in no order. */
async function listVersions(
  ask: AskVault,
  first: string,
  { now, step: tell }: Pick<SessionDeps, 'now' | 'step'>,
  deadline: Deadline,
): Promise<Listed[]> {
  const step = 'versions';
  const found: Listed[] = [];
  let url: Json | undefined = first;
  for (let page = 0; typeof url === 'string'; page++) {
    if (page === maxPages) throw new UpstreamError('unreachable', { step, reason: 'too_many_pages' });
    tell?.(step);
    const { value, nextLink }: JsonObject = await ask({ step, method: 'GET', url }, deadline);
    if (!Array.isArray(value)) throw notUnderstood(step);
    found.push(...value.flatMap((item) => usable(item, now() / 1000)));
    url = nextLink;
  }
  return found;
}

function usable(item: Json, now: number): Listed[] {
  const { kid, attributes } = isJsonObject(item) ? item : {};
  const id = idOf(kid);
  if (id === undefined || !isJsonObject(attributes)) throw notUnderstood('versions');
  const { enabled, created, nbf = 0, exp = Number.MAX_VALUE } = attributes;
  if (typeof created !== 'number' || typeof nbf !== 'number' || typeof exp !== 'number')
    throw notUnderstood('versions');
  return enabled === true && nbf <= now && now < exp ? [{ id, created }] : [];
}

/** The last segment of `https://VAULT/keys/NAME/VERSION`. */
function idOf(kid: Json | undefined): string | undefined {
  const id = typeof kid === 'string' ? kid.slice(kid.lastIndexOf('/') + 1) : '';
  return isVaultVersion(id) ? id : undefined;
}

/** Keys in hardware say so (`EC-HSM`, `RSA-HSM`); to whoever verifies they are like any other. */
function versionOf(id: string, { key }: JsonObject): KmsVersion {
  const { kty, crv, x, y, n, e } = isJsonObject(key) ? key : {};
  if ((kty === 'EC' || kty === 'EC-HSM') && crv === 'P-256' && typeof x === 'string' && typeof y === 'string')
    return { id, alg: 'ES256', publicJwk: { kty: 'EC', crv, x, y } };
  if ((kty === 'RSA' || kty === 'RSA-HSM') && typeof n === 'string' && typeof e === 'string')
    return { id, alg: 'RS256', publicJwk: { kty: 'RSA', n, e } };
  throw new UpstreamError('invalid', { step: 'versions', reason: 'key_type' });
}

function bytesOf({ value }: JsonObject, step: string): Uint8Array {
  const bytes = typeof value === 'string' ? fromBase64Url(value) : undefined;
  if (bytes === undefined) throw notUnderstood(step);
  return bytes;
}

const notUnderstood = (step: string) => new UpstreamError('unreachable', { step, reason: 'not_understood' });
