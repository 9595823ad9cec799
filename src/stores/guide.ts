import type { GuideStep } from '../lib/guide.ts';

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

export type { GuideStep };

/** What to set up for one store, from nothing to a first read, with the least rights that suffice. Pure. */
export type StoreGuide = (config: unknown, facts: GuideFacts) => readonly GuideStep[];
