/** A Secret, and one key of it or all of them. */
export interface SecretName {
  readonly namespace: string;
  readonly secret: string;
  readonly key?: string;
}

/** DNS labels (RFC 1123), 253 characters in all. */
const isNamespace = (text: string): boolean => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text);
const isSecret = (text: string): boolean =>
  text.length <= 253 && text.split('.').every((label) => /^[a-z0-9]([a-z0-9-]{0,251}[a-z0-9])?$/.test(label));
/** Keys that begin with two dots are the kubelet's own. */
const isKey = (text: string): boolean => /^[\w.-]{1,253}$/.test(text) && text !== '.' && !text.startsWith('..');

/**
 * `secret` or `secret/key`, with `namespace/` in front where the config names none; undefined for what the API server
 * could not hold. Nothing of it needs escaping in a URL.
 */
export function parseName(name: string, namespace: string | undefined): SecretName | undefined {
  const parts = name.split('/', 4);
  const [space = '', secret = '', key, more] = namespace === undefined ? parts : [namespace, ...parts];
  const fits = isNamespace(space) && isSecret(secret) && (key === undefined || isKey(key)) && more === undefined;
  return fits ? { namespace: space, secret, ...(key !== undefined && { key }) } : undefined;
}

/** What `parseName` reads back. */
export const formatName = ({ namespace, secret, key }: SecretName, configured: string | undefined): string =>
  [...(configured === undefined ? [namespace] : []), secret, ...(key === undefined ? [] : [key])].join('/');
