import { describe, expect, it } from 'vitest';
import type { SigningAlgorithm, SigningKey } from '../../src/keys/keys.ts';
import { type KeyFact, standing } from '../../src/keys/standing.ts';

const minute = 60_000;
const announceMs = 10 * minute;
const start = Date.UTC(2026, 0, 1);

const key = (kid: string, alg: SigningAlgorithm = 'ES256'): SigningKey => ({
  kid,
  alg,
  publicJwk: { kid, alg, use: 'sig' },
  sign: () => Promise.reject(new Error('not in this test')),
});
const fact = (kid: string, state: KeyFact['state'], at: number, alg = 'ES256'): KeyFact => ({
  kid,
  jwk: { kid, alg, use: 'sig' },
  state,
  at: start + at * minute,
});

interface Seen {
  readonly used?: Readonly<Record<string, number>>;
  readonly idle?: Readonly<Record<string, number>>;
}

/** Where keys stand so many minutes after the start, as their kids. */
function at(
  minutes: number,
  held: readonly SigningKey[],
  facts: readonly KeyFact[],
  { used = {}, idle = {} }: Seen = {},
) {
  const times = (of: Readonly<Record<string, number>>) =>
    new Map(Object.entries(of).map(([kid, when]) => [kid, start + when * minute]));
  const found = standing(
    held,
    facts,
    { used: times(used), idle: times(idle) },
    { now: start + minutes * minute, announceMs },
  );
  const kids = (keys: readonly { readonly kid: string }[]) => keys.map(({ kid }) => kid).join(' ');
  return {
    signing: kids(found.signing),
    published: kids(found.published),
    begin: kids(found.begin),
    end: kids(found.end),
    full: found.full,
  };
}

describe('where keys stand', () => {
  it('signs with the first key at once, and has it recorded', () => {
    expect(at(0, [key('a')], [])).toMatchObject({ signing: 'a', published: 'a', begin: 'a', end: '' });
  });

  it('announces the next key, and signs with it no sooner than everybody has heard of it', () => {
    const held = [key('b'), key('a')];
    const first = [fact('a', 'begin', -60)];
    expect(at(0, held, first)).toMatchObject({ signing: 'a', published: 'a', begin: 'b' });
    const announced = [...first, fact('b', 'begin', 0)];
    expect(at(0, held, announced)).toMatchObject({ signing: 'a', published: 'a b', begin: '', end: '' });
    expect(at(9.99, held, announced)).toMatchObject({ signing: 'a', published: 'a b' });
    expect(at(10, held, announced)).toMatchObject({ signing: 'b', published: 'b a', end: '' });
  });

  it('keeps the old key until its last token died, and ends it then', () => {
    const held = [key('b'), key('a')];
    const facts = [fact('a', 'begin', -60), fact('b', 'begin', 0)];
    expect(at(15.99, held, facts)).toMatchObject({ published: 'b a', end: '' });
    expect(at(16, held, facts)).toMatchObject({ published: 'b a', end: 'a' });
    expect(at(16, held, [...facts, fact('a', 'end', 16)])).toMatchObject({
      signing: 'b',
      published: 'b',
      begin: '',
      end: '',
    });
  });

  it('publishes a key that vanished from the config until its tokens died, and signs with the only one there is', () => {
    const facts = [fact('a', 'begin', -60)];
    expect(at(0, [key('b')], facts)).toMatchObject({ signing: 'b', published: 'b a', begin: 'b', end: '' });
    const begun = [...facts, fact('b', 'begin', 0)];
    expect(at(5, [key('b')], begun)).toMatchObject({ signing: 'b', published: 'b a', end: '' });
    expect(at(16, [key('b')], begun)).toMatchObject({ signing: 'b', end: 'a' });
  });

  it('ends no key that this process used a moment ago, whatever the log says', () => {
    const held = [key('b'), key('a')];
    const facts = [fact('a', 'begin', -600), fact('b', 'begin', -500)];
    expect(at(0, held, facts, { used: { a: -1 } }).end).toBe('');
    expect(at(5, held, facts, { used: { a: -1 } }).end).toBe('a');
  });

  it('goes back to the older key at once where the operator puts it first, and ends the other after its tokens', () => {
    const held = [key('a'), key('b')];
    const facts = [fact('a', 'begin', -600), fact('b', 'begin', -500)];
    expect(at(0, held, facts)).toMatchObject({ signing: 'a', published: 'a b', end: '' });
    expect(at(5.9, held, facts, { idle: { b: 0 } }).end).toBe('');
    expect(at(6, held, facts, { idle: { b: 0 } }).end).toBe('b');
  });

  it('leaves a newer key that only another process holds alone for a day', () => {
    const facts = [fact('a', 'begin', -600), fact('b', 'begin', -60)];
    expect(at(60, [key('a')], facts, { idle: { b: 0 } })).toMatchObject({ signing: 'a', published: 'a b', end: '' });
    expect(at(24 * 60 + 7, [key('a')], facts, { idle: { b: 0 } }).end).toBe('b');
  });

  it('does not bring back a key that ended, but where there is no other', () => {
    const facts = [fact('a', 'begin', -600), fact('b', 'begin', -500), fact('a', 'end', -400)];
    expect(at(0, [key('a'), key('b')], facts)).toMatchObject({ signing: 'b', published: 'b', begin: '' });
    expect(at(0, [key('a')], facts)).toMatchObject({ signing: 'a', published: 'a b', begin: '' });
  });

  it('rotates each algorithm for itself', () => {
    const held = [key('b'), key('a'), key('r', 'RS256')];
    const facts = [fact('a', 'begin', -60), fact('r', 'begin', -60, 'RS256'), fact('b', 'begin', 0)];
    expect(at(0, held, facts)).toMatchObject({ signing: 'a r', published: 'a r b' });
    expect(at(16, held, facts)).toMatchObject({ signing: 'b r', published: 'b r a', end: 'a' });
  });

  it('publishes four at most: a next key waits until there is room', () => {
    const held = [key('c'), key('b'), key('s', 'RS256'), key('r', 'RS256')];
    const facts = [
      fact('a', 'begin', -60),
      fact('r', 'begin', -60, 'RS256'),
      fact('b', 'begin', -15),
      fact('s', 'begin', -15, 'RS256'),
    ];
    expect(at(0, held, facts)).toMatchObject({ signing: 'b s', published: 'b s a r', begin: '', end: '', full: true });
    const later = [...facts, fact('a', 'end', 1)];
    expect(at(1, held, later)).toMatchObject({ published: 'b s r', begin: 'c', full: false });
  });

  it('drops the oldest rather than publish a fifth', () => {
    const old = ['p', 'q', 'r', 's'].map((kid, n) => fact(kid, 'begin', -9 + n));
    expect(at(0, [key('x')], old)).toMatchObject({ signing: 'x', published: 'x s r q', begin: 'x' });
  });
});
