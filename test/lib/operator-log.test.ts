import { expect, test } from 'vitest';
import { jsonLines, toStream } from '../../src/lib/operator-log.ts';

function logged(event: string, facts?: object): string {
  const lines: string[] = [];
  jsonLines(
    (line) => void lines.push(line),
    () => 0,
  )('info', event, facts);
  expect(lines).toHaveLength(1);
  return lines[0] as string;
}

test('writes one line of JSON that ends with a line feed', () => {
  expect(logged('started', { status: 200, route: '/x' })).toBe(
    '{"time":"1970-01-01T00:00:00.000Z","level":"info","event":"started","status":200,"route":"/x"}\n',
  );
});

test('drops what is not allow-listed, whatever its shape', () => {
  const line = logged('e', {
    token: 'canary',
    secret: { a: 'canary' },
    status: ['canary'],
    reason: { toString: () => 'canary' },
    ms: Number.NaN,
  });
  expect(Object.keys(JSON.parse(line))).toEqual(['time', 'level', 'event']);
  expect(line).not.toContain('canary');
});

test('takes out what is shaped like a token', () => {
  expect(logged('e', { error: 'saw eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln here' })).toContain(
    '"saw [redacted] here"',
  );
});

test('no value can forge a line or drive a terminal', () => {
  const value = 'a"\\\n\r\u2028\u202e\u001b[31m\u0085\u007f€';
  const line = logged('e', { reason: value });
  expect(line.slice(0, -1)).toMatch(/^[\x20-\x7e]*$/);
  expect(JSON.parse(line).reason).toBe(value);
});

test('cuts long values', () => {
  expect(logged('e', { path: 'x'.repeat(100_000) }).length).toBeLessThan(1_000);
});

test('heaps up no lines for a reader that hangs, and says how many were left out', () => {
  const lines: string[] = [];
  const stream = { writableLength: 0, write: (line: string) => void lines.push(line) };
  const write = toStream(stream, () => 0);
  write('1\n');
  stream.writableLength = 5 * 1024 * 1024;
  for (const line of ['2\n', '3\n']) write(line);
  stream.writableLength = 0;
  for (const line of ['4\n', '5\n']) write(line);
  const told = '{"time":"1970-01-01T00:00:00.000Z","level":"warn","event":"log_dropped","count":2}\n';
  expect(lines).toEqual(['1\n', told, '4\n', '5\n']);
});
