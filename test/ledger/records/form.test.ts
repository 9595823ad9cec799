import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openForms } from '../../../src/ledger/records/form.ts';
import { parseRecord, RecordError, recordText } from '../../../src/ledger/records/record.ts';
import { canonicalJson } from '../../../src/lib/canonical-json.ts';
import { clockAt, scribe } from '../fixtures.ts';

const write = scribe(clockAt());
const record = () => parseRecord(write.issuance(write.id()).record);

describe('the form of a record', () => {
  const forms = openForms();
  forms.learn(record() as never);
  const good = write.issuance(write.id()).record;

  it('is that of others with the same members', () => {
    expect(forms.has(good)).toBe(true);
    expect(forms.has(write.denial().record)).toBe(false);
  });

  it.each([
    ['a space', good.replace(':', ': ')],
    ['a line behind it', `${good}\n`],
    ['an escape', good.replace('checkout', 'check\\u006fut')],
    ['a quote', good.replace('checkout', 'check"out')],
    ['a backslash', good.replace('checkout', 'check\\\\out')],
    ['a control character', good.replace('checkout', 'check\u0001out')],
    ['a character beyond ASCII', good.replace('checkout', 'chéckout')],
    ['a lone surrogate', good.replace('checkout', 'check\ud800out')],
    ['a number with an exponent', good.replace('"ttl":600', '"ttl":6e2')],
    ['a fraction', good.replace('"ttl":600', '"ttl":600.0')],
    ['a leading zero', good.replace('"ttl":600', '"ttl":0600')],
    ['a negative zero', good.replace('"ttl":600', '"ttl":-0')],
    ['a number nobody can count to', good.replace('"ttl":600', '"ttl":9999999999999999')],
    ['a member twice', good.replace('{"credential"', '{"credential":"a","credential"')],
    ['two members swapped', good.replace(/^\{("credential":"[^"]*"),("epoch":\d+)/, '{$2,$1')],
    ['a member less', good.replace(/"grant":"[^"]*",/, '')],
    ['another value type', good.replace('"revocable":true', '"revocable":"true"')],
  ])('is not that of text with %s', (_, text) => {
    expect(text).not.toBe(good);
    expect(forms.has(text)).toBe(false);
  });

  it('is not learnt of names that lose their order when parsed', () => {
    const some = openForms();
    some.learn(JSON.parse('{"10":1,"9":2}'));
    some.learn(JSON.parse('{"b":1,"a":2}'));
    for (const text of ['{"9":1,"10":2}', '{"10":1,"9":2}', '{"b":1,"a":2}']) expect(some.has(text)).toBe(false);
  });

  it('is only ever that of canonical text', () => {
    const json = fc.dictionary(
      fc.string({ minLength: 1, maxLength: 3 }),
      fc.oneof(fc.string({ unit: 'binary', maxLength: 4 }), fc.integer(), fc.double(), fc.boolean(), fc.constant(null)),
      { maxKeys: 4 },
    );
    fc.assert(
      fc.property(json, json, fc.string({ unit: 'binary', maxLength: 2 }), (known, other, noise) => {
        const some = openForms();
        for (const value of [known, other])
          try {
            canonicalJson(value as never);
            some.learn(JSON.parse(canonicalJson(value as never)));
          } catch {}
        for (const text of [JSON.stringify(known), JSON.stringify(other), JSON.stringify(other) + noise])
          if (some.has(text)) expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
      { numRuns: 2_000 },
    );
  });
});

it('a record of a known form is held to its schema all the same', () => {
  parseRecord(recordText(record()));
  const bad = { ...record(), trace: 'not hexadecimal' };
  for (let twice = 0; twice < 2; twice++) expect(() => parseRecord(canonicalJson(bad as never))).toThrow(RecordError);
});
