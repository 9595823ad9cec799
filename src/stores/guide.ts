import { type GuideStep, quote } from '../lib/guide.ts';

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
  /** All that the store takes: `ES256 or RS256`. */
  readonly algorithm: string;
  /** The secrets of this store that the config refers to, as it writes them; the rights are for these alone. */
  readonly names: readonly string[];
}

export { type GuideStep, quote };

/** What to set up for one store, from nothing to a first read, with the least rights that suffice. Pure. */
export type StoreGuide = (config: unknown, facts: GuideFacts) => readonly GuideStep[];

/** For an entry that logs in as what the platform runs Hallpass as. Pure. */
export interface PlatformGuide {
  /** What to change in the entry so that it logs in by an assertion. */
  readonly instead: string;
  /** The rights that the platform's identity needs, for the named secrets alone. */
  steps(config: unknown, names: readonly string[]): readonly GuideStep[];
}
