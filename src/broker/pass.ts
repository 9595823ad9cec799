import type { ConfiguredCredential, Credential, IssueRequest } from '../credentials/kind.ts';
import { type Book, type Facts, subjectOf } from '../ledger/book.ts';
import type { RecordText } from '../ledger/record.ts';
import { withClaims } from '../lib/claims.ts';
import type { Identity } from '../lib/identity.ts';
import type { Mint } from '../lib/mint.ts';
import { causeOf, type IssueCall, type IssueOptions } from './call.ts';
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
  /** Where the caller wants it sealed. */
  readonly seal?: Seal;
}

/** What the target system knows the issuance by, where something is made there. */
export const accountOf = ({ credential, request }: Pass): string | undefined =>
  credential.made === 'target' ? credential.account(request.id) : undefined;

/** Writes a record of the pass, under the epoch it was decided under. */
export function writePass(
  book: Book,
  policy: string,
  pass: Pass,
  type: 'intent' | 'issuance' | 'failure',
  facts: Facts,
  mint?: Mint,
): RecordText {
  const { call, identity, decision, credential, configured, lease, options } = pass;
  const needs = credential.made === 'signed' ? (credential.needs ?? []) : [];
  const claims = withClaims(identity.disclosed, identity.claims, [...decision.terms.claims, ...needs]);
  const subject = subjectOf(identity, claims, {
    invocation: options.invocation === undefined ? undefined : { ...options.invocation },
    why: options.reason,
    address: call.address,
    mint,
  });
  const { expires: expiresAt, ttl } = lease;
  const handed = {
    lease: { expiresAt, ttl, account: accountOf(pass), revocable: credential.made === 'target' },
    ...(decision.terms.once ? { once: identity.token } : {}),
  };
  return book.write(
    type,
    {
      ...causeOf(call),
      credential: configured.name,
      kind: configured.kind,
      grant: decision.grant,
      policy,
      epoch: decision.epoch,
      ...(type === 'failure' ? {} : handed),
      ...facts,
    },
    subject,
  );
}
