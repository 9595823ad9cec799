/** A member's name or an entry's index, from the whole value inwards. */
export type Path = readonly (string | number)[];

interface Place {
  readonly path: Path;
  /** The schema's own words, where it has some; they repeat no value. */
  readonly message?: string;
  /** What was read is of the right type all the same: more may be asked of it. */
  readonly soft?: true;
}

/** What does not fit. It holds the value that was looked at where an explanation may need its type: never show it. */
export type Issue = Place &
  (
    | { readonly code: 'invalid_type'; readonly expected: string; readonly input: unknown }
    | { readonly code: 'invalid_value'; readonly values: readonly unknown[]; readonly input: unknown }
    | { readonly code: 'invalid_format'; readonly pattern: string }
    | { readonly code: 'invalid_key' }
    | { readonly code: 'invalid_union'; readonly errors: readonly (readonly Issue[])[] }
    | { readonly code: 'unrecognized_keys'; readonly keys: readonly string[] }
    | { readonly code: 'too_small'; readonly origin: Origin; readonly minimum: number; readonly inclusive: boolean }
    | { readonly code: 'too_big'; readonly origin: Origin; readonly maximum: number; readonly inclusive: boolean }
    | { readonly code: 'custom' }
  );

export type Origin = 'string' | 'array' | 'number';

/** What is wrong, without where. */
export type Fault<I extends Issue = Issue> = I extends Issue ? Omit<I, 'path' | 'soft'> : never;

/** A message where there is one. */
export const says = (message: string | undefined) => (message === undefined ? {} : { message });

/** Where one is in a value; it grows and shrinks with the walk. */
export type At = (string | number)[];

/** A condition on a value of the right type. */
export interface Check<T> {
  /** Of the value alone: asked although something in the value is of a wrong type. */
  readonly always?: true;
  /** What it finds leaves nothing to ask of the whole: an address that is none has no path. */
  readonly ends?: true;
  /** What JSON Schema says of it; absent where it cannot. */
  readonly limits?: Limits;
  fault(value: T): Fault | undefined;
}

/** Keywords of JSON Schema, under the names that they have for numbers. */
export interface Limits {
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
}

declare const output: unique symbol;

/** What a value of a wrong type is read as: nothing more is asked of it. */
export const wrong = Symbol('wrong');

const none: readonly never[] = [];

/** Says of a JSON value whether it has a shape, and everything that is wrong with it. Immutable. */
export abstract class Schema<T = unknown> {
  declare readonly [output]: T;
  abstract readonly kind: string;
  readonly checks: readonly Check<never>[] = none;

  /** The same with more conditions. */
  check(...more: readonly Check<T>[]): this {
    const copy = Object.assign(Object.create(Object.getPrototypeOf(this)), this);
    return Object.assign(copy, { checks: [...this.checks, ...more] });
  }

  /** @returns the value as it is to be used; of no use when an issue was added */
  parse(value: unknown, at: At, issues: Issue[]): unknown {
    const before = issues.length;
    const read = this.read(value, at, issues);
    if (read === wrong || this.checks.length === 0) return read;
    let hard = issues.length > before && issues.slice(before).some(({ soft }) => soft !== true);
    for (const check of this.checks) {
      const fault = hard && check.always !== true ? undefined : check.fault(read as never);
      if (fault === undefined) continue;
      issues.push({ ...fault, path: [...at], ...(check.ends === true ? {} : { soft: true }) } as Issue);
      hard ||= check.ends === true;
    }
    return read;
  }

  protected abstract read(value: unknown, at: At, issues: Issue[]): unknown;
}

/** What a schema reads a value as. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

/** A value that a schema refuses. Printed, it says where the first few faults are, and never repeats what was given. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError';
  readonly #issues: readonly Issue[];

  constructor(issues: readonly Issue[]) {
    const told = issues
      .slice(0, 8)
      .map(({ code, path, message }) => `${path.join('.') || 'value'}: ${message ?? code}`);
    super([...told, ...(issues.length > told.length ? [`${issues.length - told.length} more`] : [])].join('; '));
    this.#issues = issues;
  }

  get issues(): readonly Issue[] {
    return this.#issues;
  }
}

export type Parsed<T> =
  | { readonly success: true; readonly data: T; readonly error?: never }
  | { readonly success: false; readonly data?: never; readonly error: SchemaError };

/** Reads a value by a schema; never throws for the value. */
export function safeParse<S extends Schema>(schema: S, value: unknown): Parsed<Infer<S>> {
  const issues: Issue[] = [];
  const data = schema.parse(value, [], issues) as Infer<S>;
  return issues.length === 0 ? { success: true, data } : { success: false, error: new SchemaError(issues) };
}

/** @throws SchemaError when the value does not fit */
export function parse<S extends Schema>(schema: S, value: unknown): Infer<S> {
  const { success, data, error } = safeParse(schema, value);
  if (success) return data;
  throw error;
}

/** Reads what is one step further in. */
export function within(schema: Schema, value: unknown, step: string | number, at: At, issues: Issue[]): unknown {
  at.push(step);
  const read = schema.parse(value, at, issues);
  at.pop();
  return read;
}

export function mismatch(expected: string, input: unknown, at: At, issues: Issue[], message?: string): typeof wrong {
  issues.push({ code: 'invalid_type', expected, input, path: [...at], ...says(message) });
  return wrong;
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
