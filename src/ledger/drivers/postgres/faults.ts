import pg from 'pg';
import { HeadMoved, StoreFault } from '../../log-store.ts';

/** Stable words for SQLSTATEs, the longest prefix first. */
const words: readonly (readonly [prefix: string, word: string])[] = [
  ['53100', 'disk_full'],
  ['53200', 'out_of_memory'],
  ['53300', 'too_many_connections'],
  ['25006', 'read_only'],
  ['57014', 'timeout'],
  ['55P03', 'timeout'],
  ['25P03', 'timeout'],
  ['42P01', 'tables_missing'],
  ['3F000', 'tables_missing'],
  ['3D000', 'database_missing'],
  ['42501', 'denied'],
  // Only a commit divides: by zero where rows were left out.
  ['22012', 'altered'],
  ['28', 'denied'],
  ['57P', 'unreachable'],
  ['08', 'unreachable'],
  ['58', 'io'],
  ['XX001', 'corrupt'],
  ['XX002', 'corrupt'],
];

/** Rolled back because another transaction was first: serialization_failure, deadlock_detected. */
const lostRace: ReadonlySet<string> = new Set(['40001', '40P01']);

/** The SQLSTATE of what the server said; undefined where the connection itself failed. */
export function stateOf(error: unknown): string | undefined {
  if (!(error instanceof pg.DatabaseError)) return undefined;
  return /^[0-9A-Z]{5}$/.test(error.code ?? '') ? (error.code as string) : 'unknown';
}

/** The connection went, or the server ended it: nothing says whether its last statement was run. */
export function isLost(error: unknown): boolean {
  if (error instanceof StoreFault) return false;
  const state = stateOf(error);
  return state === undefined || state.startsWith('57P') || state.startsWith('08');
}

/** What the driver threw as what a log understands: no word of the server's. */
export function faultOf(cause: unknown): StoreFault | HeadMoved {
  if (cause instanceof StoreFault || cause instanceof HeadMoved) return cause;
  const state = stateOf(cause);
  if (state === undefined) return new StoreFault(isTls(cause) ? 'tls' : 'unreachable', { cause });
  if (lostRace.has(state)) return new HeadMoved();
  return new StoreFault(words.find(([prefix]) => state.startsWith(prefix))?.[1] ?? `sqlstate_${state}`, { cause });
}

/** The certificate was refused; said apart, as waiting does not help. */
const isTls = (error: unknown): boolean =>
  /^(CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(
    String((error as { code?: unknown })?.code ?? ''),
  );
