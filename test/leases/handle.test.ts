import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Handled, openHandles, prefix } from '../../src/leases/handle.ts';
import { newUlid } from '../../src/lib/ulid.ts';

const keys = () => ({ handle: randomBytes(32), identity: randomBytes(32) });
const [old, fresh] = [keys(), keys()];
const handles = openHandles([old], randomBytes);
const caller = { issuer: 'ci', iss: 'https://ci.example.com', subject: 'repo:acme/shop' };
const lease = (more: Partial<Handled> = {}): Handled => ({
  id: newUlid(Date.now(), randomBytes),
  kind: 'postgres',
  credential: 'orders-db',
  expiresAt: 1_790_000_000_000,
  holder: handles.holder(caller),
  account: 'hp_it',
  kept: 'what ends it',
  ...more,
});

describe('a handle', () => {
  it('opens to what was sealed, here and on any other instance with the key', () => {
    const sealed = lease();
    expect(openHandles([old], randomBytes).open(handles.seal(sealed))).toEqual(sealed);
  });

  it('opens after a rotation of the keys, until the old one is taken away', () => {
    const sealed = lease();
    const handle = handles.seal(sealed);
    expect(openHandles([fresh, old], randomBytes).open(handle)).toEqual(sealed);
    expect(openHandles([fresh], randomBytes).open(handle)).toBeUndefined();
    expect(openHandles([old], randomBytes).open(openHandles([fresh, old], randomBytes).seal(sealed))).toBeUndefined();
  });

  it('shows nothing of what it holds', () => {
    const bytes = Buffer.from(handles.seal(lease()).slice(prefix.length), 'base64url').toString('latin1');
    for (const word of ['postgres', 'orders-db', 'hp_it', 'what ends it']) expect(bytes).not.toContain(word);
  });

  it('is another one each time, so nobody can tell two of one lease apart from two of two', () => {
    const sealed = lease();
    expect(handles.seal(sealed)).not.toBe(handles.seal(sealed));
  });

  it('opens no longer once any bit of it has changed', () => {
    const handle = handles.seal(lease());
    const bytes = Buffer.from(handle.slice(prefix.length), 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const forged = Buffer.from(bytes);
      forged[bit >> 3] = (forged[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(handles.open(prefix + forged.toString('base64url')), `bit ${bit}`).toBeUndefined();
    }
  });

  it('opens no longer once it is cut or has grown', () => {
    const handle = handles.seal(lease());
    for (let end = 0; end < handle.length; end++) expect(handles.open(handle.slice(0, end)), `${end}`).toBeUndefined();
    for (const more of ['A', '=', ' ', 'AAAA']) expect(handles.open(handle + more)).toBeUndefined();
  });

  it('is no other text, whatever it is', () => {
    fc.assert(
      fc.property(fc.string(), fc.uint8Array({ maxLength: 200 }), (text, bytes) => {
        expect(handles.open(text)).toBeUndefined();
        expect(handles.open(prefix + Buffer.from(bytes).toString('base64url'))).toBeUndefined();
      }),
    );
    expect(handles.open(prefix + 'A'.repeat(100_000))).toBeUndefined();
  });

  it('counts an identity by the older keys as well, as long as they are there', () => {
    const rotated = openHandles([fresh, old], randomBytes);
    expect(rotated.holder(caller)).not.toBe(handles.holder(caller));
    expect(rotated.formerHolders(caller)).toEqual([handles.holder(caller)]);
    expect(handles.formerHolders(caller)).toEqual([]);
  });

  it('names an identity the same again, after many others and under each key its own', () => {
    const ours = openHandles([old], randomBytes);
    const others = openHandles([fresh, old], randomBytes);
    const name = ours.holder(caller);
    expect(others.formerHolders(caller)).toEqual([name]);
    const seen = new Set<string>();
    for (let at = 0; at < 2_500; at++) seen.add(ours.holder({ ...caller, subject: `repo:acme/${at}` }));
    expect(seen.size).toBe(2_500);
    expect(ours.holder(caller)).toBe(name);
    expect(others.holder(caller)).not.toBe(name);
  });

  it('is not made where it would be too long to be opened', () => {
    expect(handles.open(handles.seal(lease({ kept: 'k'.repeat(8 * 1024) })))?.kept).toHaveLength(8 * 1024);
    expect(() => handles.seal(lease({ kept: 'k'.repeat(16 * 1024) }))).toThrow('too long');
  });

  it('counts an identity by issuer, iss and subject together, and by nothing else', () => {
    const other = { issuer: 'ci', iss: 'https://ci.example.com', subject: 'repo:acme' };
    expect(handles.holder({ ...caller })).toBe(handles.holder(caller));
    expect(handles.holder(other)).not.toBe(handles.holder(caller));
    expect(handles.holder({ issuer: 'c', iss: 'ihttps://ci.example.com', subject: caller.subject })).not.toBe(
      handles.holder(caller),
    );
    expect(handles.holder(caller)).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });
});
