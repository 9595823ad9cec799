import type { PlugIn } from '../lib/catalog.ts';
import { durationSchema, refSchema } from '../lib/common-schemas.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { ReadRef } from '../lib/ref.ts';
import * as s from '../lib/schema/index.ts';
import type { Secret } from '../lib/secret.ts';
import { addressSchema } from './address.ts';

/** What changes a stored value, and what the value is for, in step. */
export interface Rotator {
  /**
   * Runs `work` while nobody else rotates the same; whatever ends this process, the value that is stored works on.
   *
   * @throws Refusal store_failed or store_timeout, and what `work` throws
   */
  alone<T>(current: Secret | undefined, deadline: Deadline, work: (turn: Turn) => Promise<T>): Promise<T>;
}

export interface Turn {
  /**
   * What follows on the current value. The same follows on the same: what of an earlier attempt arrives late, at the
   * target or in the store, changes nothing. @throws Refusal store_failed, bad_value
   */
  next(current: Secret | undefined, deadline: Deadline): Promise<Secret>;
  /** Makes the target take it; the current value goes on working. */
  set(next: Secret, deadline: Deadline): Promise<void>;
  /** Uses it at the target, as whoever gets it will. */
  try(next: Secret, deadline: Deadline): Promise<void>;
  /** Rejects when it is no longer sure that nobody else rotates the same. */
  stillAlone(): Promise<void>;
}

export interface RotatorDeps {
  readonly read: ReadRef;
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
  /** 32 bytes of `broker.secret` for this credential's rotation, the same on every instance. */
  readonly derive: (deadline: Deadline) => Promise<Uint8Array>;
}

export interface RotatorModule {
  open(config: unknown, deps: RotatorDeps): Rotator;
}

const every = s.optional(s.later(() => durationSchema(3600, 365 * 86_400)));
const user = s.later(() =>
  s.string().check(s.minLength(1), s.maxLength(63), s.regex(/^[\x21-\x7e]+$/, 'printable ASCII')),
);

/** Two users take turns: the one that is not stored is given a new password, and is stored once it works. */
const turns = (kind: 'postgres' | 'mysql', port: number) =>
  s.strictObject({
    kind: s.literal(kind),
    ...addressSchema(port),
    database: user,
    admin: s.optional(refSchema),
    users: s.tuple([user, user]).check(s.refine(([a, b]) => a !== b, 'two users')),
    every,
  });

export const rotateSchema = () =>
  s.choice('kind', [
    s.strictObject({
      kind: s.literal('generate'),
      bytes: s.withDefault(s.int().check(s.minimum(16), s.maximum(1024)), 32),
      every,
    }),
    turns('postgres', 5432),
    turns('mysql', 3306),
  ]);

export type RotateConfig = s.infer<ReturnType<typeof rotateSchema>>;
export type TurnsConfig = Extract<RotateConfig, { readonly users: unknown }>;

export type RotatorPlugIn = Pick<PlugIn<RotatorModule>, 'name' | 'runtimes' | 'load'>;
