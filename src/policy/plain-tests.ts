import { type Facts, tooLarge } from './facts.ts';

// What a plain condition is put together from. CEL's errors are values here: undefined, which no claim is.

/** A value of the facts, or of the element `item` that a loop is at; undefined is an error. */
export type Read = (facts: Facts, item: unknown) => unknown;
/** undefined is an error, or a value that is not a boolean. */
export type Test = (facts: Facts, item: unknown) => boolean | undefined;

export const both =
  (one: Test, other: Test): Test =>
  (facts, item) => {
    const left = one(facts, item);
    if (left === false) return false;
    const right = other(facts, item);
    return right === false || left === true ? right : undefined;
  };

export const either =
  (one: Test, other: Test): Test =>
  (facts, item) => {
    const left = one(facts, item);
    if (left === true) return true;
    const right = other(facts, item);
    return right === true || left === false ? right : undefined;
  };

export const not =
  (test: Test): Test =>
  (facts, item) => {
    const held = test(facts, item);
    return held === undefined ? undefined : !held;
  };

export const isTrue =
  (read: Read): Test =>
  (facts, item) => {
    const value = read(facts, item);
    return typeof value === 'boolean' ? value : undefined;
  };

/** What `value.key` or `value[key]` is: a text within a map, a number within a list. */
export const member =
  (of: Read, key: string | number): Read =>
  (facts, item) => {
    const within = of(facts, item);
    if (typeof key === 'number') return touched(Array.isArray(within) ? within[key] : undefined);
    return touched(within instanceof Map ? within.get(key) : undefined);
  };

/** `has(value.a.b)`: an error where anything but the last is absent. */
export const has =
  (of: Read, names: readonly string[]): Test =>
  (facts, item) => {
    let value = of(facts, item);
    for (const [at, name] of names.entries()) {
      if (value === undefined) return undefined;
      const inner = value instanceof Map ? value.get(name) : undefined;
      if (inner === undefined && at === names.length - 1) return false;
      value = touched(inner);
    }
    return value === undefined ? undefined : true;
  };

/** One side is never a list or a map. */
export const equal =
  (one: Read, other: Read): Test =>
  (facts, item) => {
    const [left, right] = [one(facts, item), other(facts, item)];
    return isTyped(left) && isTyped(right) ? left === right : undefined;
  };

const orders = {
  '<': (left: number, right: number) => left < right,
  '<=': (left: number, right: number) => left <= right,
  '>': (left: number, right: number) => left > right,
  '>=': (left: number, right: number) => left >= right,
};
export type Order = keyof typeof orders;
export const isOrder = (sign: string): sign is Order => Object.hasOwn(orders, sign);

export const ordered =
  (order: Order, one: Read, other: Read): Test =>
  (facts, item) => {
    const [left, right] = [one(facts, item), other(facts, item)];
    const compares = typeof left === typeof right && ['number', 'string', 'boolean'].includes(typeof left);
    return compares ? orders[order](left as number, right as number) : undefined;
  };

export const isAmong =
  (read: Read, values: readonly unknown[]): Test =>
  (facts, item) => {
    const value = read(facts, item);
    return isTyped(value) ? values.includes(value) : undefined;
  };

/** Whether a text, a number or a boolean is in a list, or a text the name of a member. */
export const holds =
  (read: Read, sought: Read): Test =>
  (facts, item) => {
    const [within, value] = [read(facts, item), sought(facts, item)];
    if (!isTyped(within)) return undefined;
    if (within instanceof Map) return within.has(value);
    return Array.isArray(within) ? within.includes(value) : undefined;
  };

const methods = {
  startsWith: (text: string, part: string) => text.startsWith(part),
  endsWith: (text: string, part: string) => text.endsWith(part),
  contains: (text: string, part: string) => text.includes(part),
};
export type Method = keyof typeof methods;
export const isMethod = (name: string): name is Method => Object.hasOwn(methods, name);

export const text =
  (method: Method, read: Read, part: string): Test =>
  (facts, item) => {
    const value = read(facts, item);
    return typeof value === 'string' ? methods[method](value, part) : undefined;
  };

/** A loop that ends at the first element for which `test` is `until`; an error on the way counts if none is. */
export const loop =
  (over: Read, test: Test, until: boolean): Test =>
  (facts) => {
    const list = over(facts, undefined);
    if (!Array.isArray(list) && !(list instanceof Map)) return undefined;
    let failed = false;
    for (const item of Array.isArray(list) ? list : list.keys()) {
      if (item === tooLarge) return undefined;
      const held = test(facts, item);
      if (held === until) return until;
      failed ||= held === undefined;
    }
    return failed ? undefined : !until;
  };

const touched = (value: unknown): unknown => (value === tooLarge ? undefined : value);

/** Whether CEL can tell the type of a value, for which it looks at the first element, and at the first of that. */
function isTyped(value: unknown): boolean {
  let first = value;
  while (first instanceof Map || Array.isArray(first)) {
    if ((first instanceof Map ? first.size : first.length) === 0) return true;
    first = first instanceof Map ? first.values().next().value : first[0];
  }
  return first !== undefined && first !== tooLarge;
}
