import { Refused } from './aws-secrets.ts';

/** An attribute as the wire has it: one member, `S`, `N`, `B`, `SS`, `L` or `M`. */
export type Attribute = Readonly<Record<string, unknown>>;
export type Item = Readonly<Record<string, Attribute>>;

export interface Given {
  readonly names: Readonly<Record<string, string>>;
  readonly values: Readonly<Record<string, Attribute>>;
}

const invalid = (message: string): Refused => new Refused('ValidationException', message);

function tokensOf(text: string): string[] {
  const tokens = text.match(/[#:]?[A-Za-z_][\w.-]*|[#:]\w+|<=|>=|<>|[=<>(),+]/g) ?? [];
  if (tokens.join('') !== text.replaceAll(/\s/g, '')) throw invalid(`canary: not an expression: ${text}`);
  return tokens;
}

/** Reads an expression from left to right; each name and value must be given. */
class Reader {
  private at = 0;
  private readonly tokens: readonly string[];
  constructor(
    text: string,
    private readonly given: Given,
    private readonly item: Item | undefined,
  ) {
    this.tokens = tokensOf(text);
  }

  get done(): boolean {
    return this.at === this.tokens.length;
  }

  peek = (): string => (this.tokens[this.at] ?? '').toUpperCase();

  take(word?: string): string {
    const token = this.tokens[this.at++];
    if (token === undefined || (word !== undefined && token.toUpperCase() !== word)) throw invalid('canary: syntax');
    return token;
  }

  takes(word: string): boolean {
    if (this.peek() !== word) return false;
    this.at++;
    return true;
  }

  name(): string {
    const token = this.take();
    if (!token.startsWith('#')) return token;
    const name = this.given.names[token];
    if (name === undefined) throw invalid(`canary: ${token} is not defined`);
    return name;
  }

  value(): Attribute | undefined {
    if (!this.peek().startsWith(':')) {
      const name = this.name();
      return this.item?.[name];
    }
    const token = this.take();
    const value = this.given.values[token];
    if (value === undefined) throw invalid(`canary: ${token} is not defined`);
    return value;
  }

  or(): boolean {
    let holds = this.and();
    while (this.takes('OR')) holds = this.and() || holds;
    return holds;
  }

  private and(): boolean {
    let holds = this.term();
    while (this.takes('AND')) holds = this.term() && holds;
    return holds;
  }

  private term(): boolean {
    if (this.takes('(')) {
      const holds = this.or();
      this.take(')');
      return holds;
    }
    const call = /^(ATTRIBUTE_NOT_EXISTS|ATTRIBUTE_EXISTS|BEGINS_WITH)$/.exec(this.peek())?.[1];
    return call === undefined ? this.comparison() : this.call(call);
  }

  private call(call: string): boolean {
    this.take(call);
    this.take('(');
    const name = this.name();
    const found = this.item?.[name];
    const start = this.takes(',') ? this.value() : undefined;
    this.take(')');
    if (call === 'BEGINS_WITH') return String(found?.S ?? '').startsWith(String(start?.S));
    return (found !== undefined) === (call === 'ATTRIBUTE_EXISTS');
  }

  private comparison(): boolean {
    const left = this.value();
    if (this.takes('BETWEEN')) {
      const low = this.value();
      this.take('AND');
      const high = this.value();
      return order(left, low, (by) => by >= 0) && order(left, high, (by) => by <= 0);
    }
    const compare = comparisons[this.take()];
    if (compare === undefined) throw invalid('canary: syntax');
    return order(left, this.value(), compare);
  }
}

const comparisons: Readonly<Record<string, (by: number) => boolean>> = {
  '=': (by) => by === 0,
  '<': (by) => by < 0,
  '<=': (by) => by <= 0,
  '>': (by) => by > 0,
  '>=': (by) => by >= 0,
};

/** What is not there, or of another type, compares with nothing. */
function order(left: Attribute | undefined, right: Attribute | undefined, holds: (by: number) => boolean): boolean {
  const [type] = Object.keys(left ?? {});
  if (left === undefined || right === undefined || type === undefined || right[type] === undefined) return false;
  if (type === 'N') return holds(Number(left.N) - Number(right.N));
  const [one, other] = [left, right].map((value) => Buffer.from(String(value[type])));
  return holds(Buffer.compare(one as Buffer, other as Buffer));
}

export function holds(condition: string | undefined, given: Given, item: Item | undefined): boolean {
  if (condition === undefined) return true;
  const reader = new Reader(condition, given, item);
  const held = reader.or();
  if (!reader.done) throw invalid('canary: syntax');
  return held;
}

/** The item after `SET`, `REMOVE` and `ADD` (of numbers). */
export function updated(expression: string, given: Given, item: Item): Item {
  const next: Record<string, Attribute> = { ...item };
  const reader = new Reader(expression, given, item);
  while (!reader.done) {
    const clause = reader.take().toUpperCase();
    do {
      const name = reader.name();
      if (clause === 'REMOVE') delete next[name];
      else if (clause === 'SET') {
        reader.take('=');
        next[name] = reader.value() as Attribute;
      } else if (clause === 'ADD')
        next[name] = { N: String(Number(next[name]?.N ?? 0) + Number((reader.value() as Attribute).N)) };
      else throw invalid('canary: syntax');
    } while (reader.takes(','));
  }
  return next;
}

/** Names and values that are given and not used are refused, as DynamoDB does. */
export function checkUsed(expressions: readonly (string | undefined)[], { names, values }: Given): void {
  const used = new Set(expressions.flatMap((text) => (text === undefined ? [] : tokensOf(text))));
  for (const one of [...Object.keys(names), ...Object.keys(values)])
    if (!used.has(one)) throw invalid(`canary: ${one} is not used`);
}
