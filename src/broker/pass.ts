import type { ConfiguredCredential, Credential, Draft, Issued, IssueRequest } from '../credentials/kind.ts';
import { type Book, type Facts, subjectOf } from '../ledger/erasure/book.ts';
import type { RecordText } from '../ledger/records/record.ts';
import { withClaims } from '../lib/claims.ts';
import type { Identity } from '../lib/identity.ts';
import type { IssueCall, IssueOptions } from './call.ts';
import type { Decided } from './gate.ts';
import type { Seal } from './seal.ts';
import type { LeaseTerms } from './terms.ts';

/** One issuance under way: decided, not yet released. */
export interface Pass {
  readonly call: IssueCall;
  readonly identity: Identity;
  readonly decision: Decided;
  readonly options: IssueOptions;
  readonly configured: ConfiguredCredential;
  readonly credential: Credential;
  readonly request: IssueRequest;
  readonly lease: LeaseTerms;
  /** An intent goes first: for what changes something outside, and for what spends a token together with such a one. */
  readonly intended: boolean;
  /** Once it is read or made. */
  readonly issued?: Issued;
  /** Once it is known what is to be signed. */
  readonly draft?: Draft;
  /** Where the caller wants it sealed. */
  readonly seal?: Seal;
}

/** What the target system knows the issuance by: as what was issued says, or as it derives from the issuance. */
export const accountOf = ({ credential, request, issued }: Pass): string | undefined =>
  issued?.account ?? credential.account?.(request.id);

/** When the last renewal of the lease ends at the latest, milliseconds. */
export const latestOf = ({ decision: { terms }, request }: Pass): number =>
  request.now + (terms.maxTtl ?? terms.ttl ?? 0) * 1000;

/** Whether the lease can be ended early from its record alone. */
export const isRevocable = ({ credential }: Pass): boolean =>
  credential.made === 'target' && credential.revocable !== false;

/** Whether there is, or may be, something at a target that ends with the request where it fails. */
export const mayBeUndone = ({ credential, issued }: Pass): boolean =>
  credential.made === 'target' || issued?.kept !== undefined;

/** Of the target where what was handed over can be ended; undefined where nothing can. */
const targetOf = ({ configured, credential, issued }: Pass): string | undefined =>
  credential.made === 'target' || issued?.kept !== undefined ? configured.target?.text : undefined;

/** Writes a record of the pass, under the epoch it was decided under. */
export function writePass(
  book: Book,
  policy: string,
  pass: Pass,
  type: 'intent' | 'issuance' | 'failure',
  facts: Facts,
): RecordText {
  const { call, identity, decision, credential, configured, lease, options } = pass;
  const needs = credential.made === 'signed' ? (credential.needs ?? []) : [];
  const claims = withClaims(identity.disclosed, identity.claims, [...decision.terms.claims, ...needs]);
  const subject = subjectOf(identity, claims, {
    invocation: options.invocation === undefined ? undefined : { ...options.invocation },
    why: options.reason,
    address: call.address,
    mint: type === 'issuance' ? pass.draft?.mint : undefined,
  });
  const { expires: expiresAt, ttl } = lease;
  const handed = type !== 'failure';
  // One spread, and that first: each further one costs as much as writing all the rest.
  return book.write(
    type,
    {
      ...facts,
      request: call.request,
      trace: call.trace,
      credential: configured.name,
      kind: configured.kind,
      version: facts.version ?? (handed ? targetOf(pass) : undefined),
      grant: decision.grant,
      policy,
      epoch: facts.epoch ?? decision.epoch,
      lease: handed ? { expiresAt, ttl, account: accountOf(pass), revocable: isRevocable(pass) } : undefined,
      once: handed && decision.terms.once ? identity.token : undefined,
    },
    subject,
  );
}
