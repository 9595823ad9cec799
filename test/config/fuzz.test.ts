// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the language under test
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError, checkConfig, formatProblem, loadConfig } from '../../src/config/load.ts';
import type { JsonObject } from '../../src/lib/strict-json.ts';

const examples = ['node', 'ledger', 'edge', 'worker'].map((name) =>
  readFileSync(new URL(`../../examples/${name}.hallpass.yaml`, import.meta.url), 'utf8'),
);
const options = { file: 'h.yaml', runtime: 'node', env: { LEDGER_KEY: 'x' }, folder: '/srv' } as const;
const numRuns = Number(process.env.HALLPASS_FUZZ_RUNS ?? 200);

/** Loads, or fails with ConfigError and one well-formed line per problem; anything else is a crash. */
async function isTold(work: Promise<unknown>): Promise<void> {
  const error = await work.then(
    () => undefined,
    (error) => error,
  );
  if (error === undefined) return;
  if (!(error instanceof ConfigError)) throw error;
  expect(error.problems.length).toBeGreaterThan(0);
  for (const problem of error.problems)
    expect(formatProblem(problem)).toMatch(/^h\.yaml(:[1-9]\d*:[1-9]\d*)?: \S[^\p{Cc}]*$/u);
}

const piece = fc.oneof(
  fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ': ',
    '- ',
    '"',
    "'",
    '&a ',
    '*a',
    '!!',
    '!x ',
    '|',
    '>',
    '#',
    '---\n',
    '\n',
    '\t',
    '  ',
  ),
  fc.constantFrom(
    'null',
    '~',
    '.nan',
    '0x1',
    '1e999',
    'true',
    '__proto__: 1',
    'constructor',
    '? ',
    '<<: *a',
    '%',
    '${',
    '${A}',
    '\0',
    '\ud800',
    '\u2028',
    '\ufeff',
  ),
  fc.string({ maxLength: 8, unit: 'binary' }),
);
const edit = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), cut: fc.nat(30), piece });

describe('any config', () => {
  it('loads or is refused with ConfigError, however an example is mutated', async () => {
    const mutated = fc.record({
      text: fc.constantFrom(...examples),
      edits: fc.array(edit, { minLength: 1, maxLength: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(mutated, async ({ text, edits }) => {
        for (const { at, cut, piece } of edits) {
          const start = Math.floor(at * text.length);
          text = text.slice(0, start) + piece + text.slice(start + cut);
        }
        await isTold(loadConfig(text, options));
      }),
      { numRuns },
    );
  });

  it('loads or is refused with ConfigError, however a member is replaced', async () => {
    const { parse } = await import('yaml');
    const values = examples.map((text) => parse(text) as JsonObject);
    const anything = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom(null, '', [], {}, -1, { store: 5 }, { kind: 'jwt' }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...values),
        fc.array(fc.nat(40), { maxLength: 6 }),
        anything,
        async (value, steps, other) => {
          await isTold(checkConfig(replaced(value, steps, other), options));
        },
      ),
      { numRuns },
    );
  });

  it('loads or is refused with ConfigError, whatever the text', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 60 }), (pieces) => isTold(loadConfig(pieces.join(''), options))),
      { numRuns },
    );
  });
});

/** The value with one member, found by walking `steps`, replaced. */
function replaced(value: unknown, steps: readonly number[], other: unknown): unknown {
  const [step, ...rest] = steps;
  if (step === undefined || typeof value !== 'object' || value === null) return other;
  const names = Object.keys(value);
  const name = names[step % Math.max(1, names.length)] ?? 'x';
  const inner = replaced((value as Record<string, unknown>)[name], rest, other);
  if (Array.isArray(value)) return value.map((item, at) => (String(at) === name ? inner : item));
  return { ...value, [name]: inner };
}
