import type { Deadline } from './deadline.ts';
import type { Secret } from './secret.ts';

/** A reference into a store: where a secret is kept, never the secret. */
export interface Ref {
  readonly store: string;
  readonly name: string;
  readonly version?: string;
  /** A member of the stored JSON object. */
  readonly field?: string;
}

export interface RefValue {
  readonly value: Secret;
  readonly version: string;
  readonly store: string;
}

/** Reads what a REF points to. @throws Refusal store_failed or store_timeout */
export type ReadRef = (ref: Ref, deadline: Deadline) => Promise<RefValue>;
