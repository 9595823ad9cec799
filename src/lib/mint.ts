import type { JsonObject } from './strict-json.ts';

/** Exactly the members that are to be signed at the serial point; part of the disclosure. */
export interface Mint {
  readonly use: 'session' | 'jwt' | 'x509' | 'ssh';
  readonly alg: string;
  readonly claims?: JsonObject;
  readonly certificate?: JsonObject;
}
