import { expect, test } from 'vitest';
import { instant, instantMs, parseDuration, parseInstant, parseInstantUp } from '../../src/lib/time.ts';

test.each([
  ['90s', 90],
  ['15m', 900],
  ['1h', 3600],
  ['7d', 604_800],
  ['999999999s', 999_999_999],
])('%s is %i seconds', (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds);
});

test.each([
  '',
  '0s',
  '07m',
  '1',
  's',
  '1.5h',
  '-1m',
  '+1m',
  '1 m',
  ' 1m',
  '1m ',
  '1m\n',
  '1M',
  '1w',
  '1h30m',
  '1e3s',
  '\u0661m',
  '1000000000s',
])('%j is no duration', (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test('an instant is written in UTC and rounded down', () => {
  expect(instant(1_795_348_799_999)).toBe('2026-11-22T11:59:59Z');
  expect(instantMs(1_795_348_799_999)).toBe('2026-11-22T11:59:59.999Z');
});

test('an instant is read as written', () => {
  expect(parseInstant('2026-11-22T11:59:59Z')).toBe(1_795_348_799_000);
  expect(parseInstant('2026-11-22T11:59:59.999Z')).toBe(1_795_348_799_999);
  expect(parseInstant('2028-02-29T00:00:00Z')).toBeTypeOf('number');
});

test('an instant between two milliseconds is before the second of them', () => {
  const ms = 1_795_348_799_277;
  expect(parseInstantUp('2026-11-22T11:59:59.277Z')).toBe(ms);
  expect(parseInstantUp('2026-11-22T11:59:59.277000000Z')).toBe(ms);
  expect(parseInstantUp('2026-11-22T11:59:59.277000001Z')).toBe(ms + 1);
  expect(parseInstantUp('2026-11-22T11:59:59.2769Z')).toBe(ms);
  expect(parseInstantUp('2026-02-31T11:59:59.2769Z')).toBeUndefined();
});

test.each([
  '2026-11-22',
  '2026-11-22T11:59Z',
  '2026-11-22T11:59:59',
  '2026-11-22T11:59:59+00:00',
  '2026-11-22t11:59:59z',
  '2026-11-22 11:59:59Z',
  '2026-02-29T00:00:00Z',
  '2026-02-31T00:00:00Z',
  '2026-13-01T00:00:00Z',
  '2026-11-22T24:00:00Z',
  '2026-11-22T11:59:60Z',
  '+002026-11-22T11:59:59Z',
  '2026-11-22T11:59:59Z\n',
  'tomorrow',
])('%j is no instant', (text) => {
  expect(parseInstant(text)).toBeUndefined();
});
