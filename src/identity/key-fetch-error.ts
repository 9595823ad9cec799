/** Why an issuer gave no key set, in fixed words: nothing it said is repeated (CVE-2025-52477). */
export class KeyFetchError extends Error {
  override readonly name = 'KeyFetchError';
}
