import * as z from 'zod/mini';
import { keptReasons } from '../ledger/erasure/erasable.ts';
import { issuedTypes } from './oauth-form.ts';
import { recordId } from './schemas.ts';

/** What the routes answer, for the OpenAPI document; answers are made, not checked, so nothing at run time reads these. */
const instant = z.string().check(z.regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/));
const members = z.record(z.string(), z.unknown());

const receipt = z.object({
  log: z.string(),
  index: z.int(),
  record: z.string(),
  disclosure: z.optional(z.string()),
  proof: z.string(),
});

const item = z.object({
  log: z.string(),
  index: z.int(),
  record: members,
  disclosure: z.optional(z.string()),
  disclosed: z.optional(members),
});

const entries = z.object({
  items: z.array(z.object({ index: z.int(), record: z.string(), disclosure: z.nullable(z.string()) })),
});

const succession = z.object({ items: z.array(z.omit(receipt, { disclosure: true })) });

const discovery = z.object({
  issuer: z.string(),
  jwks_uri: z.string(),
  response_types_supported: z.array(z.string()),
  subject_types_supported: z.array(z.string()),
  id_token_signing_alg_values_supported: z.array(z.string()),
  claims_supported: z.array(z.string()),
});

const simple = z.optional(z.union([z.string(), z.number(), z.boolean()]));
const keys = z.object({ keys: z.array(members) });
const status = z.object({ status: z.string() });

const about = { id: recordId, credential: z.string(), kind: z.string() };
const lease = { expiresAt: instant, ttl: z.int(), revocable: z.boolean(), renewable: z.boolean() };

const issued = z.object({
  ...about,
  data: z.optional(members),
  sealed: z.optional(z.string()),
  lease: z.object({ ...lease, handle: z.string() }),
  receipt,
});

const instantMs = z.string().check(z.regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/));

const unrevoked = z.object({
  ...about,
  account: z.optional(z.string()),
  expiresAt: instant,
  reason: z.string(),
  since: instantMs,
  failed: z.optional(z.object({ reason: z.string(), at: instant, tries: z.int() })),
});

const orphan = z.object({
  credential: z.string(),
  issuance: recordId,
  account: z.optional(z.string()),
  state: z.enum(['unknown', 'over']),
  removed: z.boolean(),
});

const locked = z.object({
  id: recordId,
  state: z.enum(['in_force', 'expired', 'lifted']),
  match: z.optional(members),
  reason: z.optional(z.string()),
  until: z.optional(z.string()),
  epoch: z.int(),
  at: instantMs,
  by: z.optional(z.string()),
  log: z.string(),
  index: z.int(),
  lifted: z.optional(
    z.object({ at: instantMs, by: z.optional(z.string()), reason: z.optional(z.string()), index: z.int() }),
  ),
});

const moved = {
  log: z.optional(z.string()),
  index: z.optional(z.int()),
  epoch: z.optional(z.int()),
  receipt: z.optional(receipt),
};

const count = { issued: z.int(), alive: z.int(), revocable: z.int(), livesUntil: z.optional(instant) };

const blastRadius = z.object({
  since: instant,
  complete: z.boolean(),
  from: z.optional(instantMs),
  ...count,
  unknown: z.int(),
  credentials: z.array(z.object({ credential: z.string(), kind: z.string(), ...count })),
  identities: z.array(z.object({ issuer: z.string(), identity: z.optional(z.string()), ...count })),
  identitiesTotal: z.int(),
});

const revoked = z.object({
  items: z.array(
    z.object({
      ...about,
      account: z.optional(z.string()),
      identity: z.optional(z.string()),
      expiresAt: instant,
      outcome: z.enum(['done', 'recorded', 'lives_on', 'failed', 'unknown']),
      reason: z.optional(z.string()),
    }),
  ),
  next: z.optional(z.string()),
});

export const answers = {
  addLockdown: z.object({
    lockdown: z.optional(locked),
    ...moved,
    dryRun: z.optional(z.literal(true)),
    blastRadius: z.optional(blastRadius),
    revoked: z.optional(revoked),
    warnings: z.optional(z.array(z.string())),
  }),
  listLockdowns: z.object({ items: z.array(locked) }),
  liftLockdown: z.object({ lockdown: locked, ...moved }),
  revokeLocked: revoked,
  issueCredential: issued,
  issueCredentials: z.object({ credentials: z.array(issued) }),
  listLeases: z.object({ items: z.array(unrevoked), next: z.optional(z.string()) }),
  sweepLeases: z.object({
    undone: z.int(),
    failed: z.array(z.object({ id: recordId, credential: z.string(), reason: z.string() })),
    unrevoked: z.int(),
    orphans: z.array(orphan),
  }),
  showLease: z.object({
    ...about,
    lease: z.object({
      expiresAt: instant,
      state: z.enum(['active', 'expired', 'revoked', 'unrevoked']),
      revocable: z.boolean(),
      account: z.optional(z.string()),
      reason: z.optional(z.string()),
    }),
  }),
  renewLease: z.object({ ...about, lease: z.object(lease), receipt }),
  rotateCredential: z.object({ credential: z.string(), version: z.string(), previous: z.optional(z.string()) }),
  exchangeToken: z.object({
    access_token: z.string(),
    issued_token_type: z.enum(issuedTypes),
    token_type: z.literal('Bearer'),
    expires_in: z.int(),
    scope: z.optional(z.literal('')),
    hallpass_id: recordId,
    hallpass_receipt: receipt,
  }),
  explainDecision: z.object({
    decision: z.enum(['allow', 'deny']),
    grant: z.optional(z.string()),
    nearest: z.array(z.object({ grant: z.string(), member: z.string(), expected: simple, actual: simple })),
  }),
  eraseDisclosures: z.object({
    erased: z.int(),
    kept: z.object(Object.fromEntries(keptReasons.map((why) => [why, z.int()]))),
    seen: z.int(),
    size: z.int(),
    dryRun: z.optional(z.literal(true)),
    next: z.optional(z.string()),
  }),
  listIssuances: z.object({
    items: z.array(item),
    /** The cursor of what lies below; absent on the last page. */
    next: z.optional(z.string()),
    /** The cursor of what comes after: of a first page, and of an answer to such a cursor. */
    newer: z.optional(z.string()),
    /** Of a first page: how far each log, by origin, was looked through. */
    indexed: z.optional(z.record(z.string(), z.int())),
  }),
  traceValue: z.object({
    items: z.array(item),
    matched: z.optional(z.enum(['id', 'account', 'token', 'fingerprint'])),
    more: z.optional(z.literal(true)),
    notComparable: z.optional(z.int()),
    /** How far each log, by origin, was looked through. */
    indexed: z.optional(z.record(z.string(), z.int())),
  }),
  showIssuance: z.object({ items: z.array(z.extend(item, { proof: z.string() })) }),
  appendEntries: z.object({
    receipts: z.array(z.object({ log: z.string(), index: z.int(), proof: z.string() })),
    minted: z.array(z.nullable(z.string())),
  }),
  showSuccession: succession,
  claimSuccession: succession,
  followLog: z.object({
    copied: z.nullable(
      z.object({
        generation: z.int(),
        base: z.int(),
        from: z.int(),
        entries: z.array(z.object({ record: z.string(), disclosure: z.nullable(z.string()) })),
        checkpoints: z.array(z.object({ end: z.int(), note: z.string() })),
      }),
    ),
    checkpoint: z.string(),
    pledge: z.optional(
      z.object({
        serial: z.int(),
        standby: z.string(),
        instance: z.string(),
        state: z.enum(['entering', 'on', 'off', 'over', 'replaced']),
        generation: z.int(),
        reason: z.string(),
      }),
    ),
  }),
  rollLog: z.object({ logs: z.array(z.object({ log: z.string(), generation: z.int(), done: z.boolean() })) }),
  listPending: entries,
  showWritersIssuance: entries,
  showBrokerDiscovery: discovery,
  showWorkloadsDiscovery: discovery,
  showBrokerKeys: keys,
  showWorkloadsKeys: keys,
  showAuthorizationServer: z.object({
    issuer: z.string(),
    token_endpoint: z.string(),
    response_types_supported: z.array(z.string()),
    grant_types_supported: z.array(z.string()),
    token_endpoint_auth_methods_supported: z.array(z.string()),
  }),
  showHealth: status,
  showReadiness: status,
  showOpenApi: members,
} as const;

/** RFC 6749 section 5.2, with the request id. */
export const oauthError = z.object({ error: z.string(), error_description: z.string(), request_id: z.string() });

/** RFC 9457, with the members of ours. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  requestId: z.string(),
  hint: z.optional(z.string()),
});
