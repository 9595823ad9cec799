import { type At, type Infer, type Issue, isObject, mismatch, Schema, within } from './schema.ts';
import type { Later, Optional } from './wrappers.ts';

export type Shape = Readonly<Record<string, Schema>>;

type MayMiss<S> = S extends Optional ? true : S extends Later<infer I> ? MayMiss<I> : false;
type Flat<T> = { [K in keyof T]: T[K] };
export type ObjectOf<S extends Shape> = Flat<
  { -readonly [K in keyof S as MayMiss<S[K]> extends true ? never : K]: Infer<S[K]> } & {
    -readonly [K in keyof S as MayMiss<S[K]> extends true ? K : never]?: Infer<S[K]>;
  }
>;

export class ObjectSchema<S extends Shape = Shape, Rest = unknown> extends Schema<ObjectOf<S> & Rest> {
  readonly kind = 'object';
  constructor(
    readonly shape: S,
    /** What becomes of members that the shape does not name. */
    readonly rest: 'refused' | 'dropped' | Schema,
  ) {
    super();
  }

  protected read(value: unknown, at: At, issues: Issue[]): unknown {
    if (!isObject(value)) return mismatch('object', value, at, issues);
    const read: Record<string, unknown> = {};
    const { shape, rest } = this;
    for (const name in shape) {
      const given = Object.hasOwn(value, name);
      const item = within(shape[name] as Schema, given ? value[name] : undefined, name, at, issues);
      if (given || item !== undefined) read[name] = item;
    }
    const others = rest === 'dropped' ? [] : Object.keys(value).filter((name) => !Object.hasOwn(shape, name));
    if (others.length === 0) return read;
    if (rest instanceof Schema) {
      const more = others.map((name) => [name, within(rest, value[name], name, at, issues)]);
      return Object.fromEntries([...Object.entries(read), ...more]);
    }
    issues.push({ code: 'unrecognized_keys', keys: others, path: [...at], soft: true });
    return read;
  }
}

/** Members of other names are dropped. */
export const object = <S extends Shape>(shape: S) => new ObjectSchema(shape, 'dropped');
/** Members of other names are refused. */
export const strictObject = <S extends Shape>(shape: S) => new ObjectSchema(shape, 'refused');
