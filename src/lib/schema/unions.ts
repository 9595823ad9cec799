import type { Values } from './leaves.ts';
import type { ObjectSchema } from './object.ts';
import { type At, type Infer, type Issue, isObject, mismatch, Schema, says, wrong } from './schema.ts';

/** Fits one of several: the first that it fits. */
export class Union<S extends Schema> extends Schema<Infer<S>> {
  readonly kind = 'union';
  constructor(
    readonly options: readonly S[],
    readonly message: string | undefined,
  ) {
    super();
  }

  protected read(value: unknown, at: At, issues: Issue[]): unknown {
    const tries: { read: unknown; own: Issue[] }[] = [];
    for (const option of this.options) {
      const own: Issue[] = [];
      const read = option.parse(value, at, own);
      if (own.length === 0) return read;
      tries.push({ read, own });
    }
    // The only one of the right type is the one that was meant.
    const near = tries.filter(({ own }) => own.every(({ soft }) => soft));
    if (near.length === 1) for (const issue of near[0]?.own ?? []) issues.push(issue);
    else
      issues.push({ code: 'invalid_union', errors: tries.map(({ own }) => own), path: [...at], ...says(this.message) });
    return near.length === 1 ? near[0]?.read : wrong;
  }
}

/** As a union of objects, of which a member's literal says which it is. */
export class Choice<S extends ObjectSchema> extends Schema<Infer<S>> {
  readonly kind = 'choice';
  constructor(
    readonly member: string,
    readonly options: readonly S[],
  ) {
    super();
  }

  protected read(value: unknown, at: At, issues: Issue[]): unknown {
    if (!isObject(value)) return mismatch('object', value, at, issues);
    const { member } = this;
    const given = Object.hasOwn(value, member) ? value[member] : undefined;
    const literals = this.options.flatMap(({ shape }) => (shape[member] as Values<unknown>).values);
    const option = this.options.find(({ shape }) => (shape[member] as Values<unknown>).values.includes(given));
    if (option !== undefined) return option.parse(value, at, issues);
    issues.push({ code: 'invalid_value', values: literals, input: given, path: [...at, member] });
    return wrong;
  }
}

export const union = <const S extends readonly Schema[]>(options: S, message?: string) =>
  new Union<S[number]>(options, message);
export const choice = <S extends ObjectSchema>(member: string, options: readonly S[]) => new Choice(member, options);
