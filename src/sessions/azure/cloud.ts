import type { Fault } from '../../lib/fault.ts';
import * as s from '../../lib/schema/index.ts';
import { isLoopbackHost, urlFault } from '../../lib/url.ts';
import type { AssertionTerms } from '../session.ts';

/** An Azure cloud: where tokens come from, and whom a federated credential there names as the audience. */
interface Cloud {
  readonly authority: string;
  readonly audience: string;
}

const publicCloud: Cloud = { authority: 'https://login.microsoftonline.com', audience: 'api://AzureADTokenExchange' };

/** The sovereign clouds, by the domain of their key vaults. */
const sovereign: Readonly<Record<string, Cloud>> = {
  'vault.azure.cn': {
    authority: 'https://login.partner.microsoftonline.cn',
    audience: 'api://AzureADTokenExchangeChina',
  },
  'vault.usgovcloudapi.net': {
    authority: 'https://login.microsoftonline.us',
    audience: 'api://AzureADTokenExchangeUSGov',
  },
};

/** The cloud whose authority this is; one on loopback, or of nobody's we know, counts as the public cloud's. */
export const cloudAt = (authority: string | undefined): Cloud =>
  Object.values(sovereign).find((cloud) => cloud.authority === authority) ?? publicCloud;

/** `hub.vault.azure.net` is in `vault.azure.net`; one on loopback counts as one of the public cloud. */
function domainOf(vault: string): string {
  const { hostname } = new URL(vault);
  return isLoopbackHost(hostname) ? 'vault.azure.net' : hostname.slice(hostname.indexOf('.') + 1);
}

export const cloudOf = (vault: string): Cloud => {
  const domain = domainOf(vault);
  return Object.hasOwn(sovereign, domain) ? (sovereign[domain] as Cloud) : publicCloud;
};

/**
 * Whom a token for this vault is for. It follows from the configured host alone, never from what the vault says of itself
 * (WWW-Authenticate): a host outside Azure's domains is shown a token for its own parent domain, which opens nothing else.
 */
export const resourceOf = (vault: string): string => `https://${domainOf(vault)}`;

/** The URL of a vault: an origin, on a host that is a name in some domain. */
export const vaultSchema = s.later(() => s.string().check(s.test((url) => urlFault(url) ?? vaultFault(new URL(url)))));

function vaultFault({ hostname, pathname }: URL): string | undefined {
  if (pathname !== '/') return 'a vault has no path; write https://NAME.vault.azure.net';
  if (isLoopbackHost(hostname) || /^[a-z0-9-]+(\.[a-z0-9-]+)+\.[a-z]+$/.test(hostname)) return undefined;
  return 'expected a vault such as https://NAME.vault.azure.net';
}

/** Names of secrets and keys, and the versions Key Vault gives them. */
export const isVaultName = (name: string): boolean => /^[0-9a-zA-Z-]{1,127}$/.test(name);
export const isVaultVersion = (version: string): boolean => /^[0-9a-f]{32}$/.test(version);

/** `system`, or the client id of a user-assigned managed identity. */
export const identitySchema = s.optional(
  s.later(() =>
    s
      .string()
      .check(
        s.regex(
          /^(system|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/,
          'expected "system", or the client id of a managed identity',
        ),
      ),
  ),
);

export const tenantSchema = s.later(() =>
  s.string().check(
    s.regex(/^[0-9A-Za-z][0-9A-Za-z.-]{0,126}$/, "expected the tenant's id or domain"),
    s.refine((text) => !/^(common|organizations|consumers)$/.test(text), 'name the one tenant'),
  ),
);

export const clientSchema = s.later(() =>
  s
    .string()
    .check(s.regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'expected the client id of an app registration')),
);

export const audienceSchema = s.optional(
  s.later(() => s.string().check(s.regex(/^[\x21-\x7e]{1,255}$/, 'expected printable ASCII without spaces'))),
);

/** Entra takes no other algorithm of a federated issuer. */
export const azureTerms = (audience: string): AssertionTerms => ({ audience, algorithms: ['RS256'], ttl: 300 });

export const authorityFaults = (authority: string | undefined): Fault[] =>
  authority?.endsWith('/') ? [{ path: ['authority'], message: 'write it without the slash at the end' }] : [];
