import fc from 'fast-check';
import { PatternRouter } from 'hono/router/pattern-router';
import { describe, expect, it } from 'vitest';
import { pathRouter } from '../../src/http/router.ts';
import { routes } from '../../src/http/routes.ts';

/** What Hono's own router, asked the same, says of the first handler that fits. */
function yardstick(paths: readonly string[]) {
  const router = new PatternRouter<string>();
  for (const path of paths)
    router.add('ALL', path.replace(/\{(\w+)\.\.\.\}$/, ':$1{.+}').replace(/\{(\w+)\}(?!$)|\{(\w+)\}$/g, ':$1$2'), path);
  return (path: string) => firstOf(router.match('GET', path));
}

function ours(paths: readonly string[]) {
  const router = pathRouter<string>();
  for (const path of paths) router.add('ALL', path, path);
  return (path: string) => firstOf(router.match('GET', path));
}

const firstOf = ([handlers]: ReturnType<PatternRouter<string>['match']>) => {
  const [handler, params] = handlers[0] ?? [];
  return handler === undefined ? undefined : { handler, params: { ...params } };
};

const written = Object.values(routes).map((route) =>
  'rest' in route && route.rest ? route.path.replace(/\}$/, '...}') : route.path,
);
const all = [...written.map((path) => `/base.path${path}`), ...written];

const step = fc.constantFrom(
  ...new Set(all.flatMap((path) => path.split('/').filter((one) => !one.startsWith('{')))),
  ...['', 'x', 'a b', '%2F', '..', '\n', 'key', '\u2028'],
);

describe('pathRouter', () => {
  it('finds what the router of Hono finds, in the same order', () => {
    const [mine, theirs] = [ours(all), yardstick(all)];
    for (const path of all)
      for (const filled of [path, `${path}/`, `${path}//`, path.replace(/\{[\w.]+\}/g, 'x')])
        expect(mine(filled), filled).toEqual(theirs(filled));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 7 }), (steps) => {
        const path = `/${steps.join('/')}`;
        expect(mine(path)).toEqual(theirs(path));
      }),
      { numRuns: 3_000 },
    );
  });

  it('takes the handler that was added first where two fit, whichever of them has names', () => {
    const router = ours(['/a/{x}', '/a/b', '/c/d', '/c/{x}', '/c/d']);
    expect(router('/a/b')).toEqual({ handler: '/a/{x}', params: { x: 'b' } });
    expect(router('/c/d/')).toEqual({ handler: '/c/d', params: {} });
    expect(router('/c/e')).toEqual({ handler: '/c/{x}', params: { x: 'e' } });
    expect(router('/e')).toBeUndefined();
  });

  it('gives a name like __proto__ no meaning of its own', () => {
    expect(pathRouter<string>().match('GET', '/__proto__')[0]).toEqual([]);
    expect(ours(['/a/{x}'])('/a/__proto__')).toEqual({ handler: '/a/{x}', params: { x: '__proto__' } });
  });
});
