const loopback = /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\]|localhost)$/;

/** Why a configured URL is refused, or undefined when it is fine: https, http on loopback only, nothing hidden in it. */
export function urlFault(text: string): string | undefined {
  if (text.length === 0 || text.length > 255) return 'a URL has 1 to 255 characters';
  if (!/^[\x21-\x7e]+$/.test(text)) return 'a URL is printable ASCII';
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) return 'not a URL';
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'a URL is https';
  if (url.protocol === 'http:' && !isLoopbackHost(url.hostname)) return 'http is for loopback only; use https';
  if (url.username !== '' || url.password !== '' || text.includes('@')) return 'a URL carries no user or password';
  if (text.includes('?') || text.includes('#')) return 'a URL carries no query or fragment';
  const origin = `${url.protocol}//${url.host}`;
  const path = text.slice(origin.length);
  if (!text.startsWith(origin) || (path !== '' && !path.startsWith('/'))) return 'write the URL in its normal form';
  return path === '' || path === '/' ? undefined : pathFault(path);
}

// Percent encoding, dot segments and their like mean different things to different parsers: none is let in.
function pathFault(path: string): string | undefined {
  if (!/^[\w\-.~/:+=,]*$/.test(path)) return 'a path has letters, digits and -._~:+=, only';
  const segments = path.split('/').slice(1);
  if (segments.some((segment) => segment.length > 150)) return 'a path segment has at most 150 characters';
  if (segments.some((segment, at) => segment === '' && at < segments.length - 1)) return 'a path has no empty segment';
  if (segments.some((segment) => ['.', '..', '~'].includes(segment))) return 'write the URL in its normal form';
  if (path.includes('~~') || path.endsWith('~')) return 'a path names no backup file';
  return undefined;
}

const absoluteUri = /^[A-Za-z][A-Za-z0-9+.-]*:(?:[\w\-.~:/?[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+$/;

/** Whether a text is an absolute URI without a fragment (RFC 3986 section 4.3): a name, to be compared, never to be fetched. */
export const isAbsoluteUri = (text: string): boolean => text.length <= 255 && absoluteUri.test(text);

export const isLoopbackHost = (host: string): boolean => loopback.test(host);
