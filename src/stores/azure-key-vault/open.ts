import { SecretClient, type SecretProperties } from '@azure/keyvault-secrets';
import type { Deadline } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import { Secret } from '../../lib/secret.ts';
import { instant } from '../../lib/time.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { cloudOf, isVaultName, isVaultVersion, resourceOf } from '../../sessions/azure/cloud.ts';
import { openVault } from '../../sessions/azure/key-vault.ts';
import { keepAzureSession } from '../../sessions/azure/login.ts';
import { noCredential, vaultTransport } from '../../sessions/azure/transport.ts';
import type { AzureKeyVaultConfig } from '../azure-key-vault.ts';
import { type Store, type StoreDeps, StoreError } from '../store.ts';

/** Key Vault gives 25 names a page; a vault or a secret of more is not listed by halves. */
const maxPages = 200;

const apiVersion = '7.4';

/** An Azure Key Vault. Text only; a version is Key Vault's own, 32 hex digits. */
export function open(config: AzureKeyVaultConfig, deps: StoreDeps): Store {
  const { vault, tenant, client: id, identity } = config;
  const authority = config.authority ?? (tenant === undefined ? undefined : cloudOf(vault).authority);
  const resource = resourceOf(vault);
  const ask = openVault(vault, keepAzureSession({ tenant, client: id, authority, identity, resource }, deps), deps);

  /** A client for one operation, so that each request of it ends by that operation's deadline. */
  async function using<T>(step: string, deadline: Deadline, work: (client: SecretClient) => Promise<T>): Promise<T> {
    deps.step?.(step);
    const options = {
      httpClient: vaultTransport(ask, resource, step, deadline),
      retryOptions: { maxRetries: 0 },
      // The challenge it would check is our own.
      disableChallengeResourceVerification: true,
    };
    try {
      return await work(new SecretClient(vault, noCredential, options));
    } catch (error) {
      if (error instanceof UpstreamError || error instanceof Refusal) throw error;
      // The SDK could make nothing of the answer.
      throw new StoreError('unreachable', { step, reason: 'not_understood', cause: error });
    }
  }

  return {
    get: (name, version, deadline) =>
      using('read', deadline, async (client) => {
        checkName(name, 'absent');
        if (version !== undefined && !isVaultVersion(version)) throw new StoreError('absent');
        const { value, properties } = await client.getSecret(name, version === undefined ? {} : { version });
        const found = versionOf(properties, name, 'read');
        if (typeof value !== 'string' || (version !== undefined && version !== found)) throw damaged('read');
        checkTime(properties, deps.now());
        return { value: new Secret(value), version: found };
      }),
    describe: (name, deadline) =>
      using('describe', deadline, async (client) => {
        checkName(name, 'absent');
        const versions = await collect(client.listPropertiesOfSecretVersions(name).byPage(), 'describe');
        const newest = Math.max(...versions.map(createdAt));
        const [first, ...others] = versions.filter((version) => createdAt(version) === newest);
        if (first === undefined) throw new StoreError('absent');
        // Key Vault's times are whole seconds: of versions made in the same one, only a read tells the current.
        const current = others.length === 0 ? first : (await client.getSecret(name)).properties;
        const made = Number.isFinite(newest) ? { createdAt: instant(newest) } : {};
        return { name, version: versionOf(current, name, 'describe'), ...made, versions: versions.length };
      }),
    list: (deadline) =>
      using('list', deadline, async (client) => {
        const secrets = await collect(client.listPropertiesOfSecrets().byPage(), 'list');
        return secrets.map(({ name }) => name).sort();
      }),
    put: (name, value, deadline) =>
      using('write', deadline, async (client) => {
        checkName(name, 'invalid');
        const { properties } = await client.setSecret(name, textOf(value));
        return { version: versionOf(properties, name, 'write') };
      }),
    async remove(name, deadline) {
      deps.step?.('remove');
      checkName(name, 'absent');
      // Not by the SDK, which would go on to ask until the secret is gone: here it is enough that it has begun.
      const url = `${vault.replace(/\/$/, '')}/secrets/${name}?api-version=${apiVersion}`;
      await ask({ step: 'remove', method: 'DELETE', url }, deadline);
    },
  };
}

function checkName(name: string, fault: 'absent' | 'invalid'): void {
  if (!isVaultName(name)) throw new StoreError(fault, { reason: 'name' });
}

function textOf(value: Secret): string {
  try {
    return value.revealText();
  } catch {
    throw new StoreError('invalid', { reason: 'not_text' });
  }
}

const damaged = (step: string) => new StoreError('damaged', { step, reason: 'other_secret' });

/** The version of an answer, which must be about the secret that was asked for; names are compared as Key Vault does. */
function versionOf({ name, version }: SecretProperties, asked: string, step: string): string {
  if (version === undefined || !isVaultVersion(version) || name.toLowerCase() !== asked.toLowerCase())
    throw damaged(step);
  return version;
}

/** Key Vault hands out what is not valid yet, or no longer: to it the times are remarks. */
function checkTime({ notBefore, expiresOn }: SecretProperties, now: number): void {
  if (notBefore !== undefined && notBefore.getTime() > now)
    throw new StoreError('disabled', { step: 'read', reason: 'not_yet_valid' });
  if (expiresOn !== undefined && expiresOn.getTime() <= now)
    throw new StoreError('disabled', { step: 'read', reason: 'expired' });
}

const createdAt = ({ createdOn }: SecretProperties): number => createdOn?.getTime() ?? Number.NEGATIVE_INFINITY;

async function collect(pages: AsyncIterable<SecretProperties[]>, step: string): Promise<SecretProperties[]> {
  const found: SecretProperties[] = [];
  let count = 0;
  for await (const page of pages) {
    found.push(...page);
    if (++count > maxPages) throw new StoreError('unreachable', { step, reason: 'too_many_pages' });
  }
  return found;
}
