import type { Fault } from '../lib/fault.ts';
import { nearest } from '../lib/suggest.ts';

type Path = readonly (string | number)[];

/** A set of configured names that a list elsewhere in the config may refer to. */
export interface Names {
  has(name: string): boolean;
  /** These names and more. */
  with(names: Iterable<string>): Names;
  /** A fault when the name is unknown; `what` says what is meant, as in "unknown credential". */
  checkOne(name: string, path: Path, what: string, faults: Fault[]): void;
  /** Faults for each name of a list that is unknown or there twice. */
  check(list: readonly string[], path: Path, what: string, faults: Fault[]): void;
}

// Suggesting costs a walk over all names, so a config with very many typos gets hints for the first of them only.
const mostHints = 100;

export function namesOf(names: Iterable<string>): Names {
  const all = new Set(names);
  let hints = 0;
  const hintFor = (name: string) => {
    const near = hints++ < mostHints ? nearest(name, all) : undefined;
    return near === undefined ? {} : { hint: `did you mean ${near}?` };
  };
  const checkOne: Names['checkOne'] = (name, path, what, faults) => {
    if (!all.has(name)) faults.push({ path, message: `unknown ${what} ${name}`, ...hintFor(name) });
  };
  return {
    has: (name) => all.has(name),
    with: (more) => namesOf([...all, ...more]),
    checkOne,
    check(list, path, what, faults) {
      const seen = new Set<string>();
      for (const [at, name] of list.entries()) {
        checkOne(name, [...path, at], what, faults);
        if (seen.has(name)) faults.push({ path: [...path, at], message: `${name} is listed twice` });
        seen.add(name);
      }
    },
  };
}
