import { describe, expect, it } from 'vitest';
import { subjectOf } from '../../src/sessions/assertion.ts';

describe('the subject of an assertion', () => {
  it.each([
    ['https://pass.example.com/edge', 'broker:pass.example.com'],
    ['https://pass.example.com:8443', 'broker:pass.example.com:8443'],
    ['urn:broker:one', 'broker:urn:broker:one'],
    ['edge-one:8443', 'broker:edge-one:8443'],
    ['edge-one', 'broker:edge-one'],
  ])('of the writer %s is %s', (writer, subject) => {
    expect(subjectOf(writer)).toBe(subject);
  });

  it.each(['edge one', 'edge\n', `https://${'a'.repeat(60)}.${'b'.repeat(60)}.example`])(
    'is refused of %j',
    (writer) => {
      expect(() => subjectOf(writer)).toThrow();
    },
  );
});
