import { keptReasons } from '../ledger/erasure/erasable.ts';
import * as s from '../lib/schema/index.ts';
import { issuedTypes } from './oauth-form.ts';
import { recordId } from './schemas.ts';

/** What the routes answer, for the OpenAPI document; answers are made, not checked, so nothing at run time reads these. */
const instant = s.string().check(s.regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/));
const members = s.record(s.string(), s.unknown());

const receipt = s.object({
  log: s.string(),
  index: s.int(),
  record: s.string(),
  disclosure: s.optional(s.string()),
  proof: s.string(),
});

const item = s.object({
  log: s.string(),
  index: s.int(),
  record: members,
  disclosure: s.optional(s.string()),
  disclosed: s.optional(members),
});

const entries = s.object({
  items: s.array(s.object({ index: s.int(), record: s.string(), disclosure: s.nullable(s.string()) })),
});

const succession = s.object({ items: s.array(s.omit(receipt, 'disclosure')) });

const discovery = s.object({
  issuer: s.string(),
  jwks_uri: s.string(),
  response_types_supported: s.array(s.string()),
  subject_types_supported: s.array(s.string()),
  id_token_signing_alg_values_supported: s.array(s.string()),
  claims_supported: s.array(s.string()),
});

const simple = s.optional(s.union([s.string(), s.number(), s.boolean()]));
const keys = s.object({ keys: s.array(members) });
const status = s.object({ status: s.string() });

const about = { id: recordId, credential: s.string(), kind: s.string() };
const lease = { expiresAt: instant, ttl: s.int(), revocable: s.boolean(), renewable: s.boolean() };

const issued = s.object({
  ...about,
  data: s.optional(members),
  sealed: s.optional(s.string()),
  lease: s.object({ ...lease, handle: s.string() }),
  receipt,
});

const instantMs = s.string().check(s.regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/));

const unrevoked = s.object({
  ...about,
  account: s.optional(s.string()),
  expiresAt: instant,
  reason: s.string(),
  since: instantMs,
  failed: s.optional(s.object({ reason: s.string(), at: instant, tries: s.int() })),
});

const orphan = s.object({
  credential: s.string(),
  issuance: recordId,
  account: s.optional(s.string()),
  state: s.enum(['unknown', 'over']),
  removed: s.boolean(),
});

const locked = s.object({
  id: recordId,
  state: s.enum(['in_force', 'expired', 'lifted']),
  match: s.optional(members),
  unknown: s.optional(s.array(s.string())),
  reason: s.optional(s.string()),
  until: s.optional(s.string()),
  epoch: s.int(),
  at: instantMs,
  by: s.optional(s.string()),
  log: s.string(),
  index: s.int(),
  lifted: s.optional(
    s.object({ at: instantMs, by: s.optional(s.string()), reason: s.optional(s.string()), index: s.int() }),
  ),
});

const moved = {
  log: s.optional(s.string()),
  index: s.optional(s.int()),
  epoch: s.optional(s.int()),
  receipt: s.optional(receipt),
};

const count = { issued: s.int(), alive: s.int(), revocable: s.int(), livesUntil: s.optional(instant) };

const blastRadius = s.object({
  since: instant,
  complete: s.boolean(),
  from: s.optional(instantMs),
  ...count,
  unknown: s.int(),
  otherwise: s.optional(s.int()),
  credentials: s.array(
    s.object({ credential: s.string(), kind: s.string(), stored: s.optional(s.literal(true)), ...count }),
  ),
  identities: s.array(s.object({ issuer: s.string(), identity: s.optional(s.string()), ...count })),
  identitiesTotal: s.int(),
});

const revoked = s.object({
  items: s.array(
    s.object({
      ...about,
      account: s.optional(s.string()),
      identity: s.optional(s.string()),
      expiresAt: instant,
      outcome: s.enum(['done', 'recorded', 'lives_on', 'failed', 'unknown']),
      reason: s.optional(s.string()),
      stored: s.optional(s.literal(true)),
    }),
  ),
  next: s.optional(s.string()),
});

export const answers = {
  addLockdown: s.object({
    lockdown: s.optional(locked),
    ...moved,
    dryRun: s.optional(s.literal(true)),
    blastRadius: s.optional(blastRadius),
    revoked: s.optional(revoked),
    warnings: s.optional(s.array(s.string())),
  }),
  listLockdowns: s.object({ items: s.array(locked) }),
  liftLockdown: s.object({ lockdown: locked, ...moved }),
  revokeLocked: revoked,
  issueCredential: issued,
  issueCredentials: s.object({ credentials: s.array(issued) }),
  listLeases: s.object({ items: s.array(unrevoked), next: s.optional(s.string()) }),
  sweepLeases: s.object({
    undone: s.int(),
    failed: s.array(s.object({ id: recordId, credential: s.string(), reason: s.string() })),
    unrevoked: s.int(),
    orphans: s.array(orphan),
  }),
  showLease: s.object({
    ...about,
    lease: s.object({
      expiresAt: instant,
      state: s.enum(['active', 'expired', 'revoked', 'unrevoked']),
      revocable: s.boolean(),
      account: s.optional(s.string()),
      reason: s.optional(s.string()),
    }),
  }),
  renewLease: s.object({ ...about, lease: s.object(lease), receipt }),
  rotateCredential: s.object({ credential: s.string(), version: s.string(), previous: s.optional(s.string()) }),
  exchangeToken: s.object({
    access_token: s.string(),
    issued_token_type: s.enum(issuedTypes),
    token_type: s.literal('Bearer'),
    expires_in: s.int(),
    scope: s.optional(s.literal('')),
    hallpass_id: recordId,
    hallpass_receipt: receipt,
  }),
  explainDecision: s.object({
    decision: s.enum(['allow', 'deny']),
    grant: s.optional(s.string()),
    nearest: s.array(s.object({ grant: s.string(), member: s.string(), expected: simple, actual: simple })),
  }),
  eraseDisclosures: s.object({
    erased: s.int(),
    kept: s.object(Object.fromEntries(keptReasons.map((why) => [why, s.int()]))),
    seen: s.int(),
    size: s.int(),
    dryRun: s.optional(s.literal(true)),
    next: s.optional(s.string()),
  }),
  listIssuances: s.object({
    items: s.array(item),
    /** The cursor of what lies below; absent on the last page. */
    next: s.optional(s.string()),
    /** The cursor of what comes after: of a first page, and of an answer to such a cursor. */
    newer: s.optional(s.string()),
    /** Of an answer to `newer`: the logs, by origin, that ended before it, and the position at which each goes on. */
    cut: s.optional(s.record(s.string(), s.int())),
    /** Of a first page: how far each log, by origin, was looked through. */
    indexed: s.optional(s.record(s.string(), s.int())),
    missing: s.optional(s.int()),
  }),
  traceValue: s.object({
    items: s.array(item),
    matched: s.optional(s.enum(['id', 'account', 'token', 'fingerprint'])),
    more: s.optional(s.literal(true)),
    notComparable: s.optional(s.int()),
    /** How far each log, by origin, was looked through. */
    indexed: s.optional(s.record(s.string(), s.int())),
    missing: s.optional(s.int()),
  }),
  showIssuance: s.object({ items: s.array(s.extend(item, { proof: s.string() })) }),
  appendEntries: s.object({
    receipts: s.array(s.object({ log: s.string(), index: s.int(), proof: s.string() })),
    minted: s.array(s.nullable(s.string())),
  }),
  showSuccession: succession,
  claimSuccession: succession,
  followLog: s.object({
    copied: s.nullable(
      s.object({
        generation: s.int(),
        base: s.int(),
        from: s.int(),
        entries: s.array(s.object({ record: s.string(), disclosure: s.nullable(s.string()) })),
        checkpoints: s.array(s.object({ end: s.int(), note: s.string() })),
      }),
    ),
    checkpoint: s.string(),
    pledge: s.optional(
      s.object({
        serial: s.int(),
        standby: s.string(),
        instance: s.string(),
        state: s.enum(['entering', 'on', 'off', 'over', 'replaced']),
        generation: s.int(),
        reason: s.string(),
      }),
    ),
  }),
  rollLog: s.object({ logs: s.array(s.object({ log: s.string(), generation: s.int(), done: s.boolean() })) }),
  listPending: entries,
  showWritersIssuance: entries,
  showBrokerDiscovery: discovery,
  showWorkloadsDiscovery: discovery,
  showBrokerKeys: keys,
  showWorkloadsKeys: keys,
  showAuthorizationServer: s.object({
    issuer: s.string(),
    token_endpoint: s.string(),
    response_types_supported: s.array(s.string()),
    grant_types_supported: s.array(s.string()),
    token_endpoint_auth_methods_supported: s.array(s.string()),
  }),
  showHealth: status,
  showReadiness: status,
  showOpenApi: members,
} as const;

/** RFC 6749 section 5.2, with the request id. */
export const oauthError = s.object({ error: s.string(), error_description: s.string(), request_id: s.string() });

/** RFC 9457, with the members of ours. */
export const problem = s.object({
  type: s.string(),
  title: s.string(),
  status: s.int(),
  detail: s.string(),
  code: s.string(),
  requestId: s.string(),
  hint: s.optional(s.string()),
});
