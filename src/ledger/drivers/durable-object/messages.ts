import { fromBase64Url, toBase64Url } from '../../../lib/bytes.ts';
import { type ProblemCode, Refusal } from '../../../lib/refusal.ts';
import type { Copied } from '../../following.ts';
import type {
  AppendRequest,
  Entry,
  LogReader,
  PendingFilter,
  PlacedEntry,
  PublicKeys,
  Receipt,
  Rolled,
  RollRequest,
} from '../../ledger.ts';
import type { Head, PendingState } from '../../log-store.ts';
import type { IndexFilter, IndexRow } from '../../query-index.ts';
import type { WriterRights } from '../../records/writer.ts';
import { unavailable } from '../../unavailable.ts';
import type { TrimmedResult } from '../../wire.ts';

// What the Worker and its ledger's Durable Object say to each other: both ends are one deployment of one bundle, so
// this is no public format. A call is POST /{method} with { left, arguments }; the answer { value } or { refusal }.

/** What such a writer may write the object knows by itself. */
export type WireRights = Omit<WriterRights, 'types'>;

/** With the log's verifier key, of which the handler believes the first. */
export interface KeyedResult extends TrimmedResult {
  readonly key: string;
}

/** The methods and what each takes and gives; bytes travel as base64url. */
export interface Methods {
  append(request: AppendRequest): KeyedResult;
  accept(request: AppendRequest, writer: WireRights): KeyedResult;
  issuance(id: string, writer: string | null): readonly Entry[];
  pending(state: PendingState, filter: PendingFilter): readonly Entry[];
  key(): string;
  ready(): null;
  keys(): PublicKeys;
  refreshKeys(): null;
  secret(): string;
  checkpoint(generation: number | null): string;
  succession(after: number): readonly Receipt[];
  copy(from: number, limit: number): Copied | null;
  roll(request: WireRoll): Rolled;
  claim(checkpoint: string): null;
  head(): WireHead;
  entries(from: number, to: number): readonly PlacedEntry[];
  at(positions: readonly number[]): readonly PlacedEntry[];
  list(filter: Parameters<LogReader['list']>[0]): readonly PlacedEntry[];
  story(issuance: string): readonly (PlacedEntry & { readonly proof: string })[];
  tile(level: number, n: number, width: number, generation: number | null): string | null;
  bundle(n: number, width: number, generation: number | null): string | null;
  readText(name: string): string | null;
  writeText(name: string, was: string | null, text: string | null): boolean;
  erase(positions: readonly number[]): null;
  indexSeen(): number;
  indexAdd(rows: readonly IndexRow[], from: number, to: number): boolean;
  indexFind(filter: IndexFilter, before: number, limit: number): readonly number[];
  indexForget(positions: readonly number[]): null;
  indexClear(): null;
  indexFollow(): number;
  fingerprintKeys(): Readonly<Record<string, number>>;
}

/** What was lost is told where the log's tables are. */
export type WireRoll = Omit<RollRequest, 'lost'>;

/** Its hashes as base64url. */
export type WireHead = Omit<Head, 'range' | 'root'> & { readonly range: readonly string[]; readonly root: string };

export type Method = keyof Methods;
export type Given<M extends Method> = Parameters<Methods[M]>;
export type Taken<M extends Method> = ReturnType<Methods[M]>;

export interface Call {
  /** Milliseconds left when it was sent. */
  readonly left: number;
  readonly arguments: readonly unknown[];
}

export type Answer = { readonly value: unknown } | { readonly refusal: WireRefusal };

export interface WireRefusal {
  readonly code: ProblemCode;
  readonly reason: string;
  readonly detail?: string;
  readonly members?: Readonly<Record<string, unknown>>;
}

export function refusalToWire(error: unknown): WireRefusal {
  if (!(error instanceof Refusal)) return { code: 'ledger_unavailable', reason: 'object_failed' };
  const { detail, members } = error.options;
  return { code: error.code, reason: error.reason, detail, members };
}

export const refusalFromWire = ({ code, reason, detail, members }: WireRefusal): Refusal =>
  code === 'ledger_unavailable' ? unavailable(reason) : new Refusal(code, reason, { detail, members });

export const bytesToWire = (bytes: Uint8Array | undefined): string | null =>
  bytes === undefined ? null : toBase64Url(bytes);

export const bytesFromWire = (text: string | null): Uint8Array | undefined =>
  text === null ? undefined : fromBase64Url(text);
