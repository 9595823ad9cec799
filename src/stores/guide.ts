import type { JsonObject } from '../lib/strict-json.ts';

/** What the other side must be told about us: all of it public. */
export interface GuideFacts {
  /** The store's name in the config. */
  readonly store: string;
  /** Who signs our assertions: `broker.url`, or the ledger's where it is elsewhere. https wherever a cloud reads it. */
  readonly issuer: string;
  /** `{issuer}/.well-known/jwks.json` */
  readonly jwksUri: string;
  readonly audience: string;
  /** `broker:<host>` */
  readonly subject: string;
  readonly algorithm: 'ES256' | 'RS256';
}

/** One thing to do on the other side. */
export interface GuideStep {
  /** One line: what it is for. */
  readonly about: string;
  /** Lines for a shell, ready to be pasted. */
  readonly shell?: string;
  /** A document the shell lines refer to by this file name. */
  readonly file?: { readonly name: string; readonly json: JsonObject };
}

/** What to set up for one store, from nothing to a first read, with the least rights that suffice. Pure. */
export type StoreGuide = (config: unknown, facts: GuideFacts) => readonly GuideStep[];
