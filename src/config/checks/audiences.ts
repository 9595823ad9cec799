import { isJsonObject, type Json } from '../../lib/strict-json.ts';

const known: ReadonlySet<string> = new Set([
  'sts.amazonaws.com',
  'sts.amazonaws.com.cn',
  'sts.googleapis.com',
  'iam.googleapis.com',
  'iamcredentials.googleapis.com',
  'login.microsoftonline.com',
  'login.microsoftonline.us',
  'login.partner.microsoftonline.cn',
  'sts.windows.net',
  'management.azure.com',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
  'vault',
  'openbao',
  'sigstore',
]);

const hostEnds = ['.vault.azure.net', '.sts.amazonaws.com', '.secretmanager.googleapis.com', '.hashicorp.cloud'];

/**
 * Whether an audience is a cloud's token service, a store's or another known service's own: a token for it is a key to
 * that service, so neither do we accept one nor does the `jwt` kind sign one.
 */
export function isThirdParty(audience: string): boolean {
  const text = audience.toLowerCase();
  if (text.startsWith('api://azureadtokenexchange')) return true;
  const host = (URL.canParse(text) && hostOf(text)) || text.replace(/^(?:https?:)?\/\//, '').replace(/\/.*$/, '');
  const regional = host.startsWith('sts.') && /^sts\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$/.test(host);
  return known.has(host) || regional || hostEnds.some((end) => host.endsWith(end));
}

/** Whether two audiences lead to the same service: equal, or URLs of one origin. */
export function sameService(a: string, b: string): boolean {
  if (a === b) return true;
  const origin = originOf(a);
  return origin !== undefined && origin === originOf(b);
}

/** Every text in an entry that could be an audience of what the entry talks to. */
export function textsOf(value: Json): string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.flatMap(textsOf);
  return isJsonObject(value) ? Object.values(value).flatMap(textsOf) : [];
}

const hostOf = (text: string) => new URL(text).hostname;

function originOf(text: string): string | undefined {
  const start = text.slice(0, 8).toLowerCase();
  if (!(start.startsWith('http://') || start.startsWith('https://')) || !URL.canParse(text)) return undefined;
  return new URL(text).origin;
}
