import type { IndexFilter } from '../ledger/query-index.ts';
import { recordTypes } from '../lib/record-types.ts';
import * as s from '../lib/schema/index.ts';
import { parseInstant, parseInstantUp } from '../lib/time.ts';
import type { Exchange } from './exchange.ts';
import { checkQuery, wantedOf } from './request-line.ts';
import { printable } from './schemas.ts';

export const exportFormats = ['json', 'ndjson', 'csv', 'ocsf'] as const;
export type ExportFormat = (typeof exportFormats)[number];

const like = (pattern: RegExp, words: string) => s.optional(s.string().check(s.regex(pattern, words)));
const name = s.optional(printable(512).check(s.minLength(1)));
// A subject takes up to three characters for each of its own there; that of a SPIFFE issuer has 2,048 by itself.
const identityName = s.optional(printable(4096).check(s.minLength(1)));
const instant = s.optional(
  s
    .string()
    .check(s.refine((text) => parseInstant(text) !== undefined, 'an instant in UTC, such as 2026-11-22T12:00:00Z')),
);

/** The query of `GET /v1/issuances`. */
export const issuancesQuery = s.strictObject({
  from: instant,
  to: instant,
  type: s.optional(s.enum([...recordTypes, '*'])),
  identity: identityName,
  issuer: name,
  credential: name,
  kind: name,
  store: name,
  grant: name,
  reason: name,
  account: s.optional(printable(2048).check(s.minLength(1))),
  token: like(/^[A-Za-z0-9_-]{43}$/, "a token's digest, 43 characters of base64url; never a token"),
  fingerprint: like(/^hmac-sha256:[A-Za-z0-9_-]{43}$/, 'hmac-sha256: and 43 characters of base64url'),
  trace: like(/^[0-9a-f]{32}$/, 'a W3C trace id, 32 hexadecimal digits in lower case'),
  limit: like(/^[1-9][0-9]{0,99}$/, 'a number from 1 on'),
  cursor: like(/^[A-Za-z0-9_-]{1,4096}$/, '`next` or `newer` of an answer'),
  format: s.optional(s.enum(exportFormats)),
  disclosures: s.optional(s.enum(['true', 'false'])),
});

/** What an auditor asks. */
export interface AskedIssuances {
  readonly filter: IndexFilter;
  /** The same as it is recorded, and as a cursor belongs to it. */
  readonly facts: Readonly<Record<string, string>>;
  /** Undefined: not said. */
  readonly limit?: number;
  readonly cursor?: string;
  readonly format: ExportFormat;
  readonly disclosures: boolean;
}

/** @throws Refusal invalid_request, which says what a parameter takes */
export function askedIssuances({ query, c }: Exchange): AskedIssuances {
  const checked = checkQuery(issuancesQuery, query);
  const { from, to, type = 'issuance', identity, limit, cursor, format, disclosures, ...equal } = checked;
  const filter: IndexFilter = {
    ...equal,
    ...(type !== '*' && { type }),
    ...(identity !== undefined && { name: identity }),
    ...(from !== undefined && { from: parseInstantUp(from) as number }),
    ...(to !== undefined && { to: parseInstantUp(to) as number }),
  };
  const { limit: _, cursor: __, format: ___, ...facts } = { ...checked, type };
  return {
    filter,
    facts: facts as AskedIssuances['facts'],
    ...(limit !== undefined && { limit: Number(limit) }),
    ...(cursor !== undefined && { cursor }),
    format: format ?? formatIn(c.req.raw.headers.get('accept')),
    disclosures: disclosures !== 'false',
  };
}

const formatOf: Readonly<Record<string, ExportFormat>> = {
  'application/json': 'json',
  'application/x-ndjson': 'ndjson',
  'text/csv': 'csv',
};

const formatIn = (accept: string | null): ExportFormat =>
  formatOf[wantedOf(accept, Object.keys(formatOf)) ?? ''] ?? 'json';
