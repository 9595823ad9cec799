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
  if (!text.startsWith(`${url.protocol}//${url.host}`)) return 'write the URL in its normal form';
  if (/\/\.{1,2}(\/|$)/.test(text) || text.includes('\\') || /\/\//.test(text.slice(8))) return 'write the URL in its normal form';
  return undefined;
}

export const isLoopbackHost = (host: string): boolean => loopback.test(host);
