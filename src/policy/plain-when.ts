import type { Identity } from '../lib/identity.ts';
import { factsOf, tooLarge } from './facts.ts';
import {
  both,
  either,
  equal,
  has,
  holds,
  isAmong,
  isMethod,
  isOrder,
  isTrue,
  loop,
  member,
  not,
  ordered,
  type Read,
  type Test,
  text,
} from './plain-tests.ts';
import { type Word, wordsOf } from './plain-words.ts';
import type { When } from './when.ts';

/** What is compared or looked into; `any` is a value of the token, whose type nobody knows before. */
interface Operand {
  readonly read: Read;
  readonly type: 'any' | 'text' | 'int' | 'double' | 'bool' | 'null';
  /** Written in the condition itself. */
  readonly value?: unknown;
  /** A value of the element that the loop around is at. */
  readonly ofItem?: boolean;
}

type Term = Operand | Test;

/** What a condition is made of inside brackets. */
interface Place {
  readonly depth: number;
  /** The variable of the loop around. */
  readonly item?: string;
}

// Each is below what the library takes (128 nodes, 24 deep): a node has a word of its own, and what is deep brackets or dots.
const mostWords = 120;
const mostBrackets = 4;
const mostSteps = 6;

const variables = ['claims', 'subject', 'issuer'];
// CEL's own words and names, those it keeps for later, and two that the library refuses.
const reserved = new Set(
  `${variables.join(' ')} true false null in has as break const continue else for function if import let loop package namespace return var void while __proto__ prototype`.split(
    ' ',
  ),
);

class NotPlain extends Error {}

/**
 * Compiles the CEL that most conditions are written in: claims, `subject` and `issuer` compared with what is written there,
 * `in`, `has`, `startsWith`, `endsWith`, `contains`, `exists`, `all`, and `!`, `&&`, `||` between them. It takes nothing that
 * `compileWhen` refuses and answers as that does; undefined for everything else, right or wrong, which is for that to judge.
 */
export function readPlainWhen(condition: string): When | undefined {
  const words = wordsOf(condition);
  if (words === undefined || words.length > mostWords) return undefined;
  try {
    const test = testOf(words);
    return (identity) => holdsFor(test, identity);
  } catch (error) {
    if (error instanceof NotPlain) return undefined;
    throw error;
  }
}

function holdsFor(test: Test, identity: Identity): boolean {
  try {
    return test(factsOf(identity), undefined) === true;
  } catch {
    return false;
  }
}

function testOf(words: readonly Word[]): Test {
  let at = 0;

  const isNext = (value: string, ahead = 0) => {
    const word = words[at + ahead];
    return word?.value === value && (word.kind === 'sign' || word.kind === 'name');
  };
  const taken = (value: string) => isNext(value) && ++at > 0;
  function expect(value: string): void {
    if (!taken(value)) throw new NotPlain();
  }
  function name(): string {
    const word = words[at++];
    if (word?.kind !== 'name') throw new NotPlain();
    return word.value;
  }

  function anyOf(place: Place): Test {
    let test = allOf(place);
    while (taken('||')) test = either(test, allOf(place));
    return test;
  }

  function allOf(place: Place): Test {
    let test = comparison(place);
    while (taken('&&')) test = both(test, comparison(place));
    return test;
  }

  function comparison(place: Place): Test {
    const left = term(place);
    if (taken('==')) return comparing(left, term(place), place, equal);
    if (taken('!=')) return comparing(left, term(place), place, (one, other) => not(equal(one, other)));
    if (taken('in')) return isNext('[') ? among(left) : within(left, term(place), place);
    const sign = words[at]?.kind === 'sign' ? (words[at]?.value as string) : '';
    if (!isOrder(sign)) return asTest(left);
    at++;
    const right = term(place);
    if (typeOf(left) === 'null' || typeOf(right) === 'null') throw new NotPlain();
    return comparing(left, right, place, (one, other) => ordered(sign, one, other));
  }

  function term(place: Place): Term {
    if (taken('!')) return not(asTest(term(place)));
    if (taken('(')) return bracketed(place, ')');
    if (isNext('has') && isNext('(', 1)) return presence(place);
    const word = words[at];
    if (word?.kind !== 'name') return literal();
    return variables.includes(word.value) || word.value === place.item ? path(place) : literal();
  }

  function bracketed(place: Place, end: string): Test {
    if (place.depth === mostBrackets) throw new NotPlain();
    const test = anyOf({ ...place, depth: place.depth + 1 });
    expect(end);
    return test;
  }

  function literal(): Operand {
    const word = words[at++];
    if (word === undefined || word.kind === 'sign') throw new NotPlain();
    if (word.kind !== 'name') return written(word.kind, word.value);
    if (word.value === 'true' || word.value === 'false') return written('bool', word.value === 'true');
    if (word.value !== 'null') throw new NotPlain();
    return written('null', null);
  }

  function root(place: Place): Operand {
    const word = name();
    if (word === place.item) return { read: (_, item) => item, type: 'any', ofItem: true };
    if (word === 'claims') return { read: ({ claims }) => (claims === tooLarge ? undefined : claims), type: 'any' };
    if (word === 'subject') return { read: ({ subject }) => subject, type: 'text' };
    return { read: ({ issuer }) => issuer, type: 'text' };
  }

  /** A variable and what is asked of it, up to a method. */
  function path(place: Place): Term {
    let of = root(place);
    const bare = isNext('claims', -1);
    for (let steps = 0; ; steps++) {
      if (steps > mostSteps) throw new NotPlain();
      if (taken('[')) of = inside(of, key());
      else if (taken('.')) {
        const word = name();
        if (literals.has(word)) throw new NotPlain();
        if (taken('(')) return method(word, of, bare && steps === 0, place);
        of = inside(of, word);
      } else if (bare && steps === 0) throw new NotPlain();
      else return of;
    }
  }

  function key(): string | number {
    const { type, value } = literal();
    if (type !== 'text' && type !== 'int') throw new NotPlain();
    expect(']');
    return value as string | number;
  }

  function method(word: string, of: Operand, isBare: boolean, place: Place): Test {
    if (isBare) throw new NotPlain();
    if (word === 'exists' || word === 'all') return looped(of, word === 'exists', place);
    const { type, value } = literal();
    expect(')');
    // Whatever reads a claim to its end is done to the element only, in a loop.
    const once = word !== 'contains' || place.item === undefined || of.ofItem === true;
    if (type !== 'text' || !isMethod(word) || !once) throw new NotPlain();
    return text(word, of.read, value as string);
  }

  function looped(over: Operand, until: boolean, place: Place): Test {
    const item = name();
    if (over.type !== 'any' || place.item !== undefined || reserved.has(item)) throw new NotPlain();
    expect(',');
    return loop(over.read, bracketed({ depth: place.depth, item }, ')'), until);
  }

  function presence(place: Place): Test {
    expect('has');
    expect('(');
    const of = root(place);
    if (of.type !== 'any') throw new NotPlain();
    const names: string[] = [];
    while (taken('.')) names.push(name());
    if (names.length === 0 || names.length > mostSteps || names.some((one) => literals.has(one))) throw new NotPlain();
    expect(')');
    return has(of.read, names);
  }

  function among(left: Term): Test {
    expect('[');
    const values: Operand[] = [literal()];
    while (taken(',')) values.push(literal());
    expect(']');
    const type = values[0]?.type;
    if (type === 'null' || values.some((one) => one.type !== type)) throw new NotPlain();
    const of = operand(left);
    if (of.value !== undefined || (of.type !== 'any' && of.type !== type)) throw new NotPlain();
    return isAmong(
      of.read,
      values.map(({ value }) => value),
    );
  }

  const test = anyOf({ depth: 0 });
  if (at < words.length) throw new NotPlain();
  return test;
}

/** Words that name no member. */
const literals = new Set(['true', 'false', 'null', 'in']);

const written = (type: Operand['type'], value: unknown): Operand => ({ read: () => value, type, value });

function inside(of: Operand, key: string | number): Operand {
  if (of.type !== 'any') throw new NotPlain();
  return { read: member(of.read, key), type: 'any', ...(of.ofItem === true && { ofItem: true }) };
}

const typeOf = (term: Term) => (typeof term === 'function' ? 'bool' : term.type);

function operand(term: Term): Operand {
  if (typeof term === 'function') throw new NotPlain();
  return term;
}

function asTest(term: Term): Test {
  if (typeof term === 'function') return term;
  if (term.type !== 'any') throw new NotPlain();
  return isTrue(term.read);
}

/** One side is a value of the token and the other is not, or both are texts and one of them is not written there. */
function comparing(left: Term, right: Term, { item }: Place, test: (one: Read, other: Read) => Test): Test {
  const [one, other] = [operand(left), operand(right)];
  const isWritten = one.value !== undefined || other.value !== undefined;
  const isCheap = item === undefined || isWritten || one.ofItem === true || other.ofItem === true;
  if (!isCheap) throw new NotPlain();
  const areTexts =
    one.type === 'text' && other.type === 'text' && !(one.value !== undefined && other.value !== undefined);
  if ((one.type === 'any') === (other.type === 'any') && !areTexts) throw new NotPlain();
  return test(one.read, other.read);
}

/** A text, a number or a boolean in a claim. */
function within(left: Term, right: Term, { item }: Place): Test {
  const [one, other] = [operand(left), operand(right)];
  if (one.type === 'any' || one.type === 'null' || other.type !== 'any' || item !== undefined) throw new NotPlain();
  return holds(other.read, one.read);
}
