import type { JsonObject } from './strict-json.ts';

/** The verified caller, as a value handed from room to room. Nothing in it is trusted before the signature was. */
export interface Identity {
  /** The issuer's name in the config. */
  readonly issuer: string;
  readonly iss: string;
  readonly subject: string;
  /** The whole verified payload. */
  readonly claims: JsonObject;
  /** `<issuer name>:<path by the preset>`, for display and queries, never for decisions. */
  readonly name: string;
  /** What a grant's `identity:` may name, by the preset's member names; absent claims are absent here. */
  readonly members: Readonly<Record<string, string | number | boolean>>;
  /** base64url(SHA-256(RFC 8785 of [iss, jti])), or of ASCII(header.payload) without `jti`; absent without a token. */
  readonly token?: string;
  /** When the workload token dies, milliseconds since the epoch; absent without a token. */
  readonly expiresAt?: number;
  /** The claims the preset names for the disclosure, a subset of `claims` in its own shape. */
  readonly disclosed: JsonObject;
}
