import type { Params, Router } from 'hono/router';

interface Pattern<T> {
  readonly at: number;
  /** Between slashes: a text, or `{name}`. */
  readonly steps: readonly string[];
  /** Whether the last name takes all that follows, slashes too. */
  readonly rest: boolean;
  readonly handler: T;
}

/**
 * Finds a handler by its path, for all methods at once, the one that was added first where more fit: `{name}` is a step that is
 * not empty, `{name...}` at the end all that follows, and one slash behind a path is nothing. Hono's own routers
 * make expressions of the paths, forty of them before anything is asked.
 */
export function pathRouter<T>(): Router<T> {
  const plain = new Map<string, { at: number; handler: T }>();
  const patterns: Pattern<T>[] = [];
  let added = 0;
  return {
    name: 'paths',
    add(_method, path, handler) {
      const at = added++;
      if (!path.includes('{')) {
        if (!plain.has(path)) plain.set(path, { at, handler });
        return;
      }
      const rest = path.endsWith('...}');
      patterns.push({ at, steps: (rest ? path.replace('...}', '}') : path).split('/'), rest, handler });
    },
    match(_method, path) {
      const known = plain.get(path.endsWith('/') ? path.slice(0, -1) : path);
      const steps = path.split('/');
      for (const { at, handler, ...pattern } of patterns) {
        if (known !== undefined && known.at < at) break;
        const params = taken(pattern, steps);
        if (params !== undefined) return [[[handler, params]]];
      }
      return [known === undefined ? [] : [[known.handler, Object.create(null)]]];
    },
  };
}

/** What a path has in place of the names; undefined where it does not fit. */
function taken(
  { steps, rest }: Pick<Pattern<unknown>, 'steps' | 'rest'>,
  given: readonly string[],
): Params | undefined {
  const spare = given.length - steps.length;
  if (rest ? spare < 0 : spare !== 0 && !(spare === 1 && given.at(-1) === '')) return undefined;
  const params: Params = Object.create(null);
  for (let at = 0; at < steps.length; at++) {
    const step = steps[at] as string;
    const last = rest && at === steps.length - 1;
    const text = last ? given.slice(at).join('/') : (given[at] as string);
    if (!step.startsWith('{')) {
      if (step !== text) return undefined;
    } else {
      if (text === '' || (last && /[\n\r\u2028\u2029]/.test(text))) return undefined;
      params[step.slice(1, -1)] = text;
    }
  }
  return params;
}
