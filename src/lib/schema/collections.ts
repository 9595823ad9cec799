import { type At, type Infer, type Issue, isObject, mismatch, Schema, within, wrong } from './schema.ts';

export class List<S extends Schema> extends Schema<Infer<S>[]> {
  readonly kind = 'array';
  constructor(readonly item: S) {
    super();
  }

  protected read(value: unknown, at: At, issues: Issue[]): unknown {
    if (!Array.isArray(value)) return mismatch('array', value, at, issues);
    // One fault, however much was sent: whoever sends it is not known yet.
    for (const { limits, fault } of this.checks) {
      const long = value.length > (limits?.maximum ?? value.length) ? fault(value as never) : undefined;
      if (long !== undefined) issues.push({ ...long, path: [...at] } as Issue);
      if (long !== undefined) return wrong;
    }
    // Holes too.
    return Array.from(value, (item, index) => within(this.item, item, index, at, issues));
  }
}

export class Tuple<A extends Schema, B extends Schema> extends Schema<[Infer<A>, Infer<B>]> {
  readonly kind = 'tuple';
  constructor(readonly items: readonly [A, B]) {
    super();
  }

  protected read(value: unknown, at: At, issues: Issue[]): unknown {
    const { length } = this.items;
    if (!Array.isArray(value)) return mismatch('array', value, at, issues);
    const about = { origin: 'array', inclusive: true, path: [...at] } as const;
    if (value.length < length) issues.push({ code: 'too_small', minimum: length, ...about });
    if (value.length > length) issues.push({ code: 'too_big', maximum: length, ...about });
    if (value.length < length) return wrong;
    return this.items.map((item, index) => within(item, value[index], index, at, issues));
  }
}

export class Dictionary<S extends Schema> extends Schema<Record<string, Infer<S>>> {
  readonly kind = 'record';
  constructor(
    readonly key: Schema<string>,
    readonly value: S,
  ) {
    super();
  }

  protected read(value: unknown, at: At, issues: Issue[]): unknown {
    if (!isObject(value)) return mismatch('record', value, at, issues);
    const read = Object.entries(value).map(([name, item]) => {
      const faults: Issue[] = [];
      this.key.parse(name, at, faults);
      if (faults.length > 0) issues.push({ code: 'invalid_key', path: [...at, name] });
      return [name, within(this.value, item, name, at, issues)];
    });
    return Object.fromEntries(read);
  }
}

export const array = <S extends Schema>(item: S) => new List(item);
export const tuple = <A extends Schema, B extends Schema>(items: readonly [A, B]) => new Tuple(items);
export const record = <S extends Schema>(key: Schema<string>, value: S) => new Dictionary(key, value);
