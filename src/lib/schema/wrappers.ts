import { type At, type Infer, type Issue, Schema } from './schema.ts';

export class Optional<S extends Schema = Schema> extends Schema<Infer<S> | undefined> {
  readonly kind = 'optional';
  constructor(readonly inner: S) {
    super();
  }

  protected read(value: unknown, at: At, issues: Issue[]): unknown {
    return value === undefined ? undefined : this.inner.parse(value, at, issues);
  }
}

export class Nullable<S extends Schema> extends Schema<Infer<S> | null> {
  readonly kind = 'nullable';
  constructor(readonly inner: S) {
    super();
  }

  protected read(value: unknown, at: At, issues: Issue[]): unknown {
    return value === null ? null : this.inner.parse(value, at, issues);
  }
}

export class WithDefault<S extends Schema> extends Schema<Infer<S>> {
  readonly kind = 'default';
  constructor(
    readonly inner: S,
    readonly value: Infer<S>,
  ) {
    super();
  }

  protected read(value: unknown, at: At, issues: Issue[]): unknown {
    return value === undefined ? this.value : this.inner.parse(value, at, issues);
  }
}

/** Built when it is first asked about a value. */
export class Later<S extends Schema = Schema> extends Schema<Infer<S>> {
  readonly kind = 'later';
  private made?: S;
  constructor(readonly build: () => S) {
    super();
  }

  get inner(): S {
    this.made ??= this.build();
    return this.made;
  }

  protected read(value: unknown, at: At, issues: Issue[]): unknown {
    return this.inner.parse(value, at, issues);
  }
}

export const optional = <S extends Schema>(inner: S) => new Optional(inner);
export const nullable = <S extends Schema>(inner: S) => new Nullable(inner);
export const withDefault = <S extends Schema>(inner: S, value: Infer<S>) => new WithDefault(inner, value);
