import { wireLimits } from '../ledger/wire.ts';
import type { ProblemCode } from '../lib/refusal.ts';
import * as s from '../lib/schema/index.ts';
import { erasureBody } from './erasures.ts';
import { sweepBody } from './leases-sweep.ts';
import { liftBody, lockdownBody, revokeLockedBody } from './lockdowns.ts';
import { issuedTypes, subjectTypes, tokenExchange } from './oauth-form.ts';
import { rotateBody } from './rotate.ts';
import type { Operation } from './routes.ts';
import { batchBody, claimBody, emptyBody, issueBody, renewBody, rollBody } from './schemas.ts';
import { traceBody } from './trace.ts';

/** What the document says of an operation beyond its route. */
export interface OperationWords {
  readonly summary: string;
  /** `public`, a token of any verified identity, or one that carries the permission. */
  readonly needs:
    | 'public'
    | 'token'
    | 'audit: read'
    | 'audit: trace'
    | 'audit: erase'
    | 'ledger: append'
    | 'ledger: follow'
    | 'ledger: roll'
    | 'leases: revoke'
    | 'lockdown: write'
    | 'secrets: rotate';
  readonly body?: s.AnyObject;
  /** As `body`, of a form. */
  readonly form?: s.AnyObject;
  readonly refusals: readonly ProblemCode[];
}

const entriesBody = s.strictObject({
  records: s.array(s.string()).check(s.minLength(1), s.maxLength(wireLimits.records)),
  disclosures: s.array(s.nullable(s.string().check(s.maxLength(wireLimits.disclosureChars)))),
  epoch: s.int().check(s.minimum(0)),
  policy: s.string(),
  once: s.optional(s.string()),
  max: s.optional(s.strictObject({ holder: s.string(), most: s.int().check(s.minimum(1)) })),
});

const exchangeForm = s.object({
  grant_type: s.literal(tokenExchange),
  subject_token: s.string(),
  subject_token_type: s.enum(subjectTypes),
  resource: s.optional(s.string()),
  audience: s.optional(s.string()),
  scope: s.optional(s.string()),
  requested_token_type: s.optional(s.enum(issuedTypes)),
});

const verified = ['token_missing', 'token_invalid', 'denied', 'issuer_unavailable', 'ledger_unavailable'] as const;
const body = ['too_large', 'unsupported_media_type'] as const;

/** Of each operation. */
export const operationWords: Readonly<Record<Operation, OperationWords>> = {
  issueCredential: {
    summary: 'Issue a credential: verified, decided, recorded, then released.',
    needs: 'token',
    body: issueBody,
    refusals: [...verified, ...body, 'replayed', 'store_failed', 'store_timeout'],
  },
  issueCredentials: {
    summary: 'Issue several credentials at once, all or nothing.',
    needs: 'token',
    body: batchBody,
    refusals: [...verified, ...body, 'replayed', 'store_failed', 'store_timeout'],
  },
  rotateCredential: {
    summary: 'Give a stored value a successor: set at its target, tried there, then current.',
    needs: 'secrets: rotate',
    body: rotateBody,
    refusals: [...verified, ...body, 'not_found', 'rate_limited', 'store_failed', 'store_timeout'],
  },
  exchangeToken: {
    summary: 'Exchange a workload token for a credential that is a token (RFC 8693).',
    needs: 'public',
    form: exchangeForm,
    refusals: [...verified, ...body, 'replayed', 'store_failed', 'store_timeout'],
  },
  listLeases: {
    summary: 'The leases that ended and are not known to be gone at their target.',
    needs: 'leases: revoke',
    refusals: verified,
  },
  sweepLeases: {
    summary: 'One pass of the sweeper: end what is past its time, was given up or could not be ended before.',
    needs: 'leases: revoke',
    body: sweepBody,
    refusals: [...verified, ...body],
  },
  showLease: {
    summary:
      'Look up a lease: as the identity that got it, by its handle (header Hallpass-Lease), or by `leases: revoke`. With a handle the id may be `self`: the lease it is of.',
    needs: 'token',
    refusals: [...verified, 'not_found', 'store_failed', 'store_timeout'],
  },
  renewLease: {
    summary:
      'Renew a lease, as the identity that got it: decided again, never past the maximum of the grant. Some kinds need the handle as well (header Hallpass-Lease).',
    needs: 'token',
    body: renewBody,
    refusals: [...verified, ...body, 'not_found', 'store_failed', 'store_timeout'],
  },
  revokeLease: {
    summary:
      'Revoke a lease: as the identity that got it, by its handle (header Hallpass-Lease), or by `leases: revoke`. With a handle the id may be `self`: the lease it is of. Idempotent; 202 when recorded but not yet done at the target.',
    needs: 'token',
    refusals: [...verified, 'not_found', 'store_failed', 'store_timeout'],
  },
  explainDecision: {
    summary: 'Say what the policy decides for the caller, and which grants nearly matched.',
    needs: 'token',
    body: emptyBody,
    refusals: [...verified, ...body, 'not_found'],
  },
  addLockdown: {
    summary:
      'Stop issuing: to an issuer, an identity (with `*` for a segment), by a grant or a role, of a credential, from a store, or at all. Once answered it holds on every instance.',
    needs: 'lockdown: write',
    body: lockdownBody,
    refusals: [...verified, ...body, 'not_found'],
  },
  listLockdowns: {
    summary: 'The lockdowns in force, or with `all` those that are over too.',
    needs: 'lockdown: write',
    refusals: [...verified, 'not_found'],
  },
  liftLockdown: {
    summary: 'Lift a lockdown. Idempotent.',
    needs: 'lockdown: write',
    body: liftBody,
    refusals: [...verified, ...body, 'not_found'],
  },
  revokeLocked: {
    summary:
      'Revoke what is alive of what a lockdown matches, as much as one request has time for; while there is a `next`, send it as `cursor`.',
    needs: 'lockdown: write',
    body: revokeLockedBody,
    refusals: [...verified, ...body, 'not_found'],
  },
  eraseDisclosures: {
    summary:
      'Erase what is disclosed of one data subject, as much as one call may: `next` says where the same call goes on. With `dryRun` it counts.',
    needs: 'audit: erase',
    body: erasureBody,
    refusals: [...verified, ...body, 'not_found'],
  },
  listIssuances: {
    summary:
      'List records, newest first, or export all that fit (`format`, or Accept). The query, with all its pages, is a record itself.',
    needs: 'audit: read',
    // A cursor's key may have to be read from a store.
    refusals: [...verified, 'not_found', 'store_failed', 'store_timeout'],
  },
  showIssuance: {
    summary: 'Everything of one issuance, each record with its proof.',
    needs: 'audit: read',
    // Of more than an invocation of Lambda may answer with.
    refusals: [...verified, 'not_found', 'too_large'],
  },
  traceValue: {
    summary:
      'Find the issuance of what an auditor has in hand: an account at a target, a serial number, a token or its digest, a leaked value. The value is never recorded; that it was asked is.',
    needs: 'audit: trace',
    body: traceBody,
    refusals: [...verified, ...body, 'not_found', 'rate_limited', 'store_failed', 'store_timeout'],
  },
  appendEntries: {
    summary: 'Append records of another broker. Idempotent by record id.',
    needs: 'ledger: append',
    body: entriesBody,
    refusals: [...verified, ...body, 'not_found', 'stale', 'replayed'],
  },
  listPending: {
    summary: "A writer's own intents without outcome, or its issuances past expiry, for undoing.",
    needs: 'ledger: append',
    refusals: [...verified, 'not_found'],
  },
  showWritersIssuance: {
    summary: "A writer's own records of one issuance, for undoing.",
    needs: 'ledger: append',
    refusals: [...verified, 'not_found'],
  },
  showCheckpoint: {
    summary: 'The newest signed checkpoint (C2SP tlog-checkpoint). Public where the log is.',
    needs: 'audit: read',
    refusals: [...verified, 'not_found'],
  },
  showCosigned: {
    summary: 'The newest checkpoint that witnesses cosigned, with their cosignatures. Public where the log is.',
    needs: 'audit: read',
    refusals: [...verified, 'not_found'],
  },
  showTile: {
    summary: 'A tile `{level}/{n...}[.p/{width}]` (C2SP tlog-tiles), or a bundle `entries/{n...}[.p/{width}]`.',
    needs: 'audit: read',
    refusals: [...verified, 'not_found'],
  },
  showSuccession: {
    summary:
      'The records by which the logs after a generation began, each with its proof: they commit to the log before.',
    needs: 'ledger: append',
    refusals: [...verified, 'not_found'],
  },
  claimSuccession: {
    summary:
      'Show a signed checkpoint of the log before this one, where it ended by force: a larger tree than was known is recorded. Answers the succession after it.',
    needs: 'ledger: append',
    body: claimBody,
    refusals: [...verified, ...body, 'not_found'],
  },
  followLog: {
    summary:
      'Entries with their disclosures and checkpoints from a position on, for a standby: all before it is durable there.',
    needs: 'ledger: follow',
    refusals: [...verified, 'not_found'],
  },
  rollLog: {
    summary: 'Close the log and begin its successor. Idempotent for one `generation`.',
    needs: 'ledger: roll',
    body: rollBody,
    refusals: [...verified, ...body, 'not_found'],
  },
  showCheckpointOf: {
    summary: 'The checkpoint of one log: `{log}` is `{shard}`, `~{generation}` or `{shard}~{generation}`.',
    needs: 'audit: read',
    refusals: [...verified, 'not_found'],
  },
  showCosignedOf: {
    summary: 'The same of one shard: `{log}` is its number.',
    needs: 'audit: read',
    refusals: [...verified, 'not_found'],
  },
  showTileOf: {
    summary: 'A tile or bundle of one log: `{log}` is `{shard}`, `~{generation}` or `{shard}~{generation}`.',
    needs: 'audit: read',
    refusals: [...verified, 'not_found'],
  },
  showLogKeyOf: {
    summary: "The ledger's verifier key under the name of one of its logs: {shard}, ~{generation} or both",
    needs: 'public',
    refusals: ['not_found', 'ledger_unavailable'],
  },
  showLogKey: {
    summary: "The log's verifier key (`name+hash+base64`).",
    needs: 'public',
    refusals: ['ledger_unavailable'],
  },
  showBrokerDiscovery: { summary: 'Discovery document of the issuer {broker.url}.', needs: 'public', refusals: [] },
  showBrokerKeys: { summary: 'Keys of the issuer {broker.url}.', needs: 'public', refusals: [] },
  showWorkloadsDiscovery: {
    summary: 'Discovery document of the issuer {broker.url}/workloads.',
    needs: 'public',
    refusals: ['not_found'],
  },
  showWorkloadsKeys: {
    summary: 'Keys of the issuer {broker.url}/workloads.',
    needs: 'public',
    refusals: ['not_found'],
  },
  showAuthorizationServer: { summary: 'Metadata of the token exchange (RFC 8414).', needs: 'public', refusals: [] },
  showHealth: { summary: 'The process answers.', needs: 'public', refusals: [] },
  showReadiness: {
    summary: 'Ledger and keys are well.',
    needs: 'public',
    refusals: ['ledger_unavailable', 'issuer_unavailable'],
  },
  showMetrics: {
    summary: 'Counters as Prometheus text. Public on loopback.',
    needs: 'audit: read',
    refusals: ['token_missing', 'token_invalid', 'denied'],
  },
  showOpenApi: { summary: 'This document.', needs: 'public', refusals: [] },
};
