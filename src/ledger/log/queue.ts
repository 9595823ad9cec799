import type { Deadline } from '../../lib/deadline.ts';
import type { AppendResult } from '../ledger.ts';
import type { Room } from '../log-store.ts';
import { unavailable } from '../unavailable.ts';
import type { Ask } from './plan.ts';

/** An append that waits for its answer. */
export interface Waiting {
  readonly ask: Ask;
  readonly bytes: number;
  readonly deadline: Deadline;
  /** Its caller has been answered; what is not yet planned is not planned any more. */
  readonly done: boolean;
  resolve(result: AppendResult): void;
  reject(error: unknown): void;
}

/** Most that one commit takes: requests, and bytes of their texts. */
const batchRequests = 256;
const batchBytes = 1024 * 1024;

export interface Queue {
  /** @throws Refusal ledger_unavailable when it is full */
  push(ask: Ask, bytes: number, deadline: Deadline): Promise<AppendResult>;
  /** What one commit takes, oldest first; those whose caller has left are dropped. */
  take(): Waiting[];
  readonly empty: boolean;
  /** How many wait. */
  readonly size: number;
  /** Resolves once as many wait. */
  filled(many: number): Promise<void>;
}

/** Appends in the order they came, at most `maxRecords` records; each leaves when its caller's deadline passes. */
export function openQueue(maxRecords: number, room?: Room): Queue {
  const mostRoom = room?.most ?? Number.POSITIVE_INFINITY;
  const roomFor = ({ entries, request }: Ask): number =>
    room === undefined
      ? 0
      : room.of(
          entries.map(({ record }) => record),
          request.max,
        );
  let waiting: Waiting[] = [];
  let records = 0;
  let wanted: { readonly many: number; readonly tell: () => void } | undefined;

  return {
    get empty() {
      return waiting.length === 0;
    },
    get size() {
      return waiting.length;
    },
    push(ask, bytes, deadline) {
      if (records + ask.entries.length > maxRecords) throw unavailable('queue_full');
      records += ask.entries.length;
      return new Promise((resolve, reject) => {
        waiting.push(waitFor(ask, bytes, deadline, resolve, reject));
        if (wanted !== undefined && waiting.length >= wanted.many) wanted.tell();
      });
    },
    filled: (many) =>
      new Promise((tell) => {
        wanted = { many, tell };
        if (waiting.length >= many) tell();
      }),
    take() {
      wanted = undefined;
      const batch: Waiting[] = [];
      let bytes = 0;
      let taken = 0;
      let filled = 0;
      for (const one of waiting) {
        const space = one.done ? 0 : roomFor(one.ask);
        const full = bytes + one.bytes > batchBytes || batch.length === batchRequests || filled + space > mostRoom;
        if (!one.done && batch.length > 0 && full) break;
        taken++;
        records -= one.ask.entries.length;
        if (one.done) continue;
        bytes += one.bytes;
        filled += space;
        batch.push(one);
      }
      waiting = waiting.slice(taken);
      return batch;
    },
  };
}

function waitFor(
  ask: Ask,
  bytes: number,
  deadline: Deadline,
  resolve: (result: AppendResult) => void,
  reject: (error: unknown) => void,
): Waiting {
  let done = false;
  const answer = (settle: () => void) => {
    if (done) return;
    done = true;
    clearTimeout(timer);
    settle();
  };
  const timer = setTimeout(() => answer(() => reject(unavailable('timeout'))), deadline.left());
  return {
    ask,
    bytes,
    deadline,
    get done() {
      return done;
    },
    resolve: (result) => answer(() => resolve(result)),
    reject: (error) => answer(() => reject(error)),
  };
}
