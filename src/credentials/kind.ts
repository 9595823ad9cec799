import type { Deadline } from '../lib/deadline.ts';
import type { Identity } from '../lib/identity.ts';
import type { Mint } from '../lib/mint.ts';
import type { ReadRef } from '../lib/ref.ts';
import type { Secret } from '../lib/secret.ts';
import type { JsonObject } from '../lib/strict-json.ts';

/** What the broker tells a kind about one issuance. Times in milliseconds since the epoch, `ttl` in seconds. */
export interface IssueRequest {
  readonly id: string;
  readonly credential: string;
  readonly identity: Identity;
  readonly now: number;
  readonly expiresAt: number;
  readonly ttl: number;
  readonly deadline: Deadline;
}

/** What is handed over: `data` as the API says for the kind, and which member the fingerprint covers. */
export interface Issued {
  readonly data: Readonly<Record<string, unknown>>;
  readonly fingerprinted?: Secret;
  readonly store?: string;
  readonly version?: string;
}

/** What a token can be issued as (RFC 8693 section 3). */
export type TokenType = 'urn:ietf:params:oauth:token-type:jwt' | 'urn:ietf:params:oauth:token-type:access_token';

/** How a token exchange answers with a kind whose credentials are tokens; its config entries take `resource`. */
export interface TokenExchange {
  /** The first is that of a request which asks for none. */
  readonly types: readonly [TokenType, ...TokenType[]];
  /** The member of `data` that is the token. */
  readonly member: string;
}

interface CredentialBase {
  /** The kind's own ceiling, seconds; from the config entry or the kind. */
  readonly maxTtl?: number;
}

/** Read in place: one record, nothing dies at expiry. */
export interface ReadCredential extends CredentialBase {
  readonly made: 'read';
  read(request: IssueRequest): Promise<Issued>;
}

/** Made at the target: an intent first; the account derives from the issuance id alone. */
export interface TargetCredential extends CredentialBase {
  readonly made: 'target';
  account(issuance: string): string;
  /** @throws Refusal store_failed or store_timeout; the outcome at the target is then unknown and undo is due */
  make(request: IssueRequest): Promise<Issued>;
  /** Ends the account and its sessions; idempotent; fine for an account that was never made. */
  undo(account: string, deadline: Deadline): Promise<void>;
}

/** Signed at the serial point: the record carries what is to be signed, the ledger's side signs it once durable. */
export interface SignedCredential extends CredentialBase {
  readonly made: 'signed';
  /** Claim paths the disclosure must carry, so that the ledger's side can check the templates again. */
  readonly needs?: readonly string[];
  mint(request: IssueRequest): Mint;
  finish(minted: string): Issued;
  /** Ledger's side: throws Refusal denied unless `mint` is what this credential would have signed for this record. */
  check(mint: Mint, facts: MintFacts): void;
}

export interface MintFacts {
  readonly issuance: string;
  readonly credential: string;
  /** The record's own time, milliseconds. */
  readonly time: number;
  readonly lease: { readonly expiresAt: string; readonly ttl: number };
  /** From the disclosure: who it was about. */
  readonly identity: {
    readonly issuer: string;
    readonly iss: string;
    readonly subject: string;
    readonly name?: string;
    readonly claims?: JsonObject;
  };
}

export type Credential = ReadCredential | TargetCredential | SignedCredential;

/** A credential of the config; opened when first asked for. */
export interface ConfiguredCredential {
  readonly name: string;
  readonly kind: string;
  open(): Promise<Credential>;
}

export interface KindDeps {
  readonly read: ReadRef;
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
  /** `{broker.url}/workloads`, the issuer of the `jwt` kind. */
  readonly workloadsIssuer: string;
}

export interface KindModule {
  open(config: unknown, deps: KindDeps): Credential;
}
