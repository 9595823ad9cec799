import type { Deadline } from '../lib/deadline.ts';
import type { Identity } from '../lib/identity.ts';
import type { Mint } from '../lib/mint.ts';
import type { OperatorLog, Runtime } from '../lib/platform.ts';
import type { ReadRef } from '../lib/ref.ts';
import type { Secret } from '../lib/secret.ts';
import type { JsonObject } from '../lib/strict-json.ts';
import type { SessionDeps } from '../sessions/session.ts';
import type { TargetMark } from './target-mark.ts';
import type { Subject } from './template.ts';

/** What the broker tells a kind about one issuance. Times in milliseconds since the epoch, `ttl` in seconds. */
export interface IssueRequest {
  readonly id: string;
  readonly credential: string;
  readonly identity: Identity;
  readonly now: number;
  readonly expiresAt: number;
  readonly ttl: number;
  readonly deadline: Deadline;
  /** A certificate request in PEM, as the caller sent it; only for a credential that takes it. */
  readonly csr?: string;
  /** A public key as OpenSSH writes it in one line, as the caller sent it; only for a credential that takes it. */
  readonly publicKey?: string;
}

/** What a request may bring along beside its options, for kinds that sign a key of the caller's own. */
export type Brought = 'csr' | 'publicKey';

/** What is handed over: `data` as the API says for the kind, and which member the fingerprint covers. */
export interface Issued {
  readonly data: Readonly<Record<string, unknown>>;
  readonly fingerprinted?: Secret;
  readonly store?: string;
  readonly version?: string;
  /** What the target knows it by, where that is known only once it is made. Recorded, so never a secret. */
  readonly account?: string;
  /** What ending it early needs beside the account; it may be secret, travels in the sealed handle only, 8 KiB at most. */
  readonly kept?: string;
  /** When the target itself ends it, milliseconds, where that is sooner than asked: the lease then ends with it. */
  readonly expiresAt?: number;
}

/** One lease, as what ends or prolongs it at the target knows it. */
export interface Lease {
  readonly issuance: string;
  /** From its record; absent where only an intent is known and the account is not derived from the issuance. */
  readonly account?: string;
  /** From its handle; absent where there is none. */
  readonly kept?: string;
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
  readonly takes?: readonly Brought[];
}

/** Read in place, or a token that is fetched: nothing is left behind outside, so one record says it all. */
export interface ReadCredential extends CredentialBase {
  readonly made: 'read';
  read(request: IssueRequest): Promise<Issued>;
  /** What the target knows it by (a role session's name), where that derives from the issuance. */
  account?(issuance: string): string;
  /**
   * Ends one early, by what its handle keeps; idempotent. Absent where nothing can. @throws Refusal store_failed or
   * store_timeout when it is not known to be gone; without `kept` it resolves to `false`: it lives on until its end
   */
  end?(lease: Lease, deadline: Deadline): Promise<boolean>;
  /** Seconds from when it was issued after which it is over by itself, where nothing ended it; its lease may be shorter. */
  readonly life?: number;
}

/** Made at the target: an intent first; where it can, the account derives from the issuance id alone. */
export interface TargetCredential extends CredentialBase {
  readonly made: 'target';
  /** Undefined where the target itself names it, or gives one that is there: then `Issued.account` says it. */
  account(issuance: string): string | undefined;
  /** @throws Refusal store_failed or store_timeout; the outcome at the target is then unknown and undo is due */
  make(request: IssueRequest): Promise<Issued>;
  /**
   * Ends what this lease holds, and its sessions; idempotent; fine for one that was never made, and for one that somebody
   * else holds by now. @throws Refusal store_failed or store_timeout when it is not known to be gone
   */
  undo(lease: Lease, deadline: Deadline): Promise<void>;
  /** Prolongs it at the target; absent where a lease cannot be renewed. @throws Refusal as `make` */
  renew?(lease: Lease, expiresAt: number, deadline: Deadline): Promise<void>;
  /** Renewing needs what the handle keeps. */
  readonly renewedByHandle?: true;
  /** False where others share what was made, so that one lease alone cannot be ended early. Default: true. */
  readonly revocable?: boolean;
  /** The issuances whose accounts the target has now, of this credential; for the sweeper. At most 10,000. */
  accounts?(deadline: Deadline): Promise<readonly Lease[]>;
}

/** What is to be signed for one issuance, and how what was signed is handed over. */
export interface Draft {
  readonly mint: Mint;
  /** A private key made for it. */
  readonly fingerprinted?: Secret;
  finish(minted: string): Issued;
}

/** Signed at the serial point: the record carries what is to be signed, the ledger's side signs it once durable. */
export interface SignedCredential extends CredentialBase {
  readonly made: 'signed';
  /** Claim paths the disclosure must carry, so that the ledger's side can check the templates again. */
  readonly needs?: readonly string[];
  /** The place of a template that this identity cannot fill, so that `draft` would deny it: `{{ claims.team }}`. */
  unfilled?(identity: Subject): string | undefined;
  /** A certificate's serial or key id, where that is not the issuance id itself; derived from it alone. */
  account?(issuance: string): string;
  /** @throws Refusal denied for an identity that cannot fill the templates, invalid_request for what was brought along */
  draft(request: IssueRequest): Draft | Promise<Draft>;
  /** Ledger's side: throws Refusal denied unless `mint` is what this credential would have signed for this record. */
  check(mint: Mint, facts: MintFacts): void;
  /** Ledger's side, for kinds with a key of their own: signs exactly what `mint` says. The others' keys are the broker's. */
  sign?(mint: Mint, deadline: Deadline): Promise<string>;
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
  /** Of the target that its leases are ended at; absent where none is. */
  readonly target?: TargetMark;
  open(): Promise<Credential>;
}

/** What a kind needs of the world; `assert` is by the entry's own terms, and about one issuance where they speak of one. */
export interface KindDeps extends Omit<SessionDeps, 'assert'> {
  readonly runtime: Runtime;
  readonly read: ReadRef;
  readonly random: (bytes: number) => Uint8Array;
  readonly log: OperatorLog;
  /** The credential's name in the config. */
  readonly name: string;
  /** `{broker.url}/workloads`, the issuer of the `jwt` kind. */
  readonly workloadsIssuer: string;
  /** @throws Refusal ledger_unavailable, denied. Absent where the kind has no assertion for its entry */
  readonly assert?: (deadline: Deadline, issuance?: string) => Promise<string>;
  /** 32 bytes that are the same on every instance with the same `broker.secret`, for one purpose of this kind. */
  readonly derive: (purpose: string, deadline: Deadline) => Promise<Uint8Array>;
}

export interface KindModule {
  open(config: unknown, deps: KindDeps): Credential;
}
