import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openUlidTable } from '../../../src/ledger/verify/ulid-table.ts';
import { newUlid } from '../../../src/lib/ulid.ts';

const ulids = Array.from({ length: 20_000 }, (_, at) => newUlid(Date.UTC(2026, 0) + (at >> 4), randomBytes));

describe('a table by ULID', () => {
  it('has of each the last number that was set, and nothing of others', () => {
    const table = openUlidTable();
    const map = new Map<string, number>();
    for (const [at, ulid] of [...ulids.slice(0, 15_000), ...ulids.slice(0, 100)].entries()) {
      table.set(ulid, at * 2 ** 30);
      map.set(ulid, at * 2 ** 30);
    }
    expect(ulids.map((ulid) => table.get(ulid))).toEqual(ulids.map((ulid) => map.get(ulid)));
    expect(table.state.size).toBe(15_000);
  });

  it('tells ULIDs apart that differ in any one digit', () => {
    const table = openUlidTable();
    const one = '0'.repeat(26);
    table.set(one, 1);
    for (let at = 0; at < 26; at++) {
      for (const digit of at === 0 ? '1234567' : '123456789abcdefghjkmnpqrstvwxyz') {
        const other = `${one.slice(0, at)}${digit}${one.slice(at + 1)}`;
        expect(table.get(other)).toBeUndefined();
        table.set(other, at);
        expect(table.get(other)).toBe(at);
      }
    }
    expect(table.get(one)).toBe(1);
    expect(table.state.size).toBe(1 + 7 + 25 * 31);
  });

  it('goes on from a copy of its state', () => {
    const table = openUlidTable();
    for (const [at, ulid] of ulids.slice(0, 3_000).entries()) table.set(ulid, at);
    const next = openUlidTable(structuredClone(table.state));
    for (const [at, ulid] of ulids.slice(3_000).entries()) next.set(ulid, 3_000 + at);
    expect(ulids.every((ulid, at) => next.get(ulid) === at)).toBe(true);
  });
});
