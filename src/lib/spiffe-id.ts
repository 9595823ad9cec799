/** A SPIFFE ID taken apart (SPIFFE-ID, section 2). */
export interface SpiffeId {
  readonly trustDomain: string;
  /** From its slash on. */
  readonly path: string;
}

const scheme = 'spiffe://';
const longest = 2048;

/** 1 to 255 lower-case letters, digits, dots, dashes and underscores (SPIFFE-ID, section 2.1). */
export const isTrustDomain = (text: string): boolean => /^[a-z0-9._-]{1,255}$/.test(text);

/** A workload's SPIFFE ID; undefined for what is none, the trust domain's own included. */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  if (text.length > longest || !text.startsWith(scheme)) return undefined;
  const slash = text.indexOf('/', scheme.length);
  if (slash === -1) return undefined;
  const trustDomain = text.slice(scheme.length, slash);
  const path = text.slice(slash);
  const segments = path.slice(1).split('/');
  return isTrustDomain(trustDomain) && segments.every(isSegment) ? { trustDomain, path } : undefined;
}

// Section 2.2: no percent-encoding, no empty or relative segment, no slash at the end.
const isSegment = (segment: string): boolean => /^[A-Za-z0-9._-]+$/.test(segment) && !/^\.{1,2}$/.test(segment);

/** `spiffe://` and the trust domain of a subject that begins so; nothing of it is checked. */
export function trustDomainOf(sub: string): string | undefined {
  if (!sub.startsWith(scheme)) return undefined;
  const slash = sub.indexOf('/', scheme.length);
  return slash === -1 ? sub : sub.slice(0, slash);
}
