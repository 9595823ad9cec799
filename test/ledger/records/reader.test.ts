import { describe, expect, it } from 'vitest';
import { type Common, openRecordReader, own } from '../../../src/ledger/records/reader.ts';
import { type LedgerRecord, parseRecord, recordText } from '../../../src/ledger/records/record.ts';
import { bytesOf } from '../../../src/ledger/records/units.ts';
import { clockAt, digest, scribe } from '../fixtures.ts';

const write = scribe(clockAt(Date.now()));
const texts = [
  write.issuance(write.id(), { kind: 'secret' }),
  write.issuance(write.id(), { kind: 'secret' }),
  write.intent(write.id(), { once: digest('o') }),
  write.denial(),
  write.denial(),
  write.lockdown('add', 'issuer', 1, { issuer: 'shop' }),
  write.failure(write.id()),
  write.revocation(write.id()),
].map(({ record }) => record);

type Read = (text: string) => LedgerRecord;

const commonOf = ({ v, type, writer, epoch, kind, policy }: LedgerRecord): Common =>
  ({ v, type, writer, ...{ epoch, kind, policy } }) as Common;

const ownOf = ({ id, issuance, once, request, identity, lease }: LedgerRecord) =>
  [id, issuance, once, request, identity?.who, lease?.expiresAt].map((value) => value ?? null);

/** What a reader says, where it lies among others; what it found must say of the record what `parseRecord` does. */
function reading(): Read {
  const reader = openRecordReader();
  return (text) => {
    // Of a text that is no text there are no bytes: the sources give other text instead.
    const around = Buffer.from(`{"id":"${text}"`);
    const [from, to] = [7, around.length - 1];
    const lying = text.isWellFormed() ? reader.find(bytesOf(around), from, to) : undefined;
    if (lying === undefined) return reader.parse(text);
    const record = parseRecord(text);
    const said = Object.values(own).map((member) =>
      (lying.froms[member] as number) < 0
        ? null
        : around.toString('utf8', lying.froms[member], lying.tos[member] as number),
    );
    const [ours, theirs] = [
      [lying.common, said],
      [commonOf(record), ownOf(record)],
    ].map((one) => JSON.stringify(one));
    if (ours !== theirs) expect.fail(`${text}: ${ours}`);
    return record;
  };
}

const outcome = (read: Read, text: string) => {
  try {
    return read(text);
  } catch (error) {
    return String(error);
  }
};

/** The text with one character left out, doubled, or another. */
function* mutations(text: string): Generator<string> {
  for (let at = 0; at < text.length; at++) {
    const [before, unit, after] = [text.slice(0, at), text.charAt(at), text.slice(at + 1)];
    yield before + after;
    yield before + unit + unit + after;
    for (const other of ['"', '\\', '0', '-', ' ', 'é', '\ud800', '{', 'Z', '\n']) yield before + other + after;
  }
}

describe('a reader of many records', () => {
  const read = reading();

  it('reads them as parseRecord does, in any order and again', () => {
    for (const text of [...texts, ...texts.toReversed(), ...texts]) expect(read(text)).toEqual(parseRecord(text));
  });

  it('refuses what parseRecord refuses, for the same reason, and is misled by none of it', () => {
    // One of each form.
    for (const text of texts) {
      for (const mutation of mutations(text)) {
        const [ours, theirs] = [outcome(read, mutation), outcome(parseRecord, mutation)];
        if (JSON.stringify(ours) !== JSON.stringify(theirs)) expect.fail(`${mutation}: ${JSON.stringify(ours)}`);
      }
      expect(read(text)).toEqual(parseRecord(text));
    }
  });

  it('reads those whose members come to differ, one after another, and refuses a member that is none at any place', () => {
    const later = reading();
    const first = parseRecord(texts[0] as string);
    const others: Partial<Record<keyof LedgerRecord, unknown>> = {
      credential: 'another',
      epoch: 7,
      id: write.id(),
      identity: { issuer: 'warehouse', who: digest('w') },
      lease: { ...first.lease, revocable: true, ttl: 7, expiresAt: '2026-12-31T23:59:59.999Z' },
      time: '2026-12-31T23:59:60.000Z',
      writer: { ...first.writer, instance: 'b', name: 'https://other.example.com' },
    };
    const bad = { credential: '', epoch: '7', id: first.id.toUpperCase(), identity: { issuer: 'shop', who: 'short' } };
    let record: Record<string, unknown> = { ...first };
    for (const [name, value] of [...Object.entries(others), ...Object.entries(others)]) {
      record = { ...record, [name]: value };
      const text = recordText(record as unknown as LedgerRecord);
      expect(outcome(later, text)).toEqual(outcome(parseRecord, text));
      if (name === 'time') record = { ...record, time: first.time };
    }
    for (const [name, value] of Object.entries(bad)) {
      const text = recordText({ ...record, [name]: value } as unknown as LedgerRecord);
      expect(outcome(later, text)).toBe(`RecordError: not a record: ${name}_malformed`);
    }
  });

  it('takes no instant that is none, beside one of the same minute', () => {
    const text = texts[0] as string;
    const { time } = parseRecord(text);
    for (const end of [
      '60.000Z',
      '0a.000Z',
      '00,000Z',
      '00.00aZ',
      '00.0000',
      '59.999z',
      '00.000',
      '00.0000Z',
      '59.999Z',
    ]) {
      const other = text.replace(`"time":"${time}"`, `"time":"${time.slice(0, 17)}${end}"`);
      read(text);
      expect([end, outcome(read, other)]).toEqual([end, outcome(parseRecord, other)]);
      expect(typeof outcome(read, other)).toBe(end === '59.999Z' ? 'object' : 'string');
    }
  });

  it('takes no record about itself, whatever it took before', () => {
    const text = texts.at(-1) as string;
    const { id, issuance } = parseRecord(text);
    expect(outcome(read, text.replace(`"issuance":"${issuance}"`, `"issuance":"${id}"`))).toContain(
      'issuance_malformed',
    );
  });

  it('takes no record that is too long, of a known form either', () => {
    const long = (texts[3] as string).replace(/"type":"denial"/, `"type":"denial"${' '.repeat(40_000)}`);
    expect(outcome(read, long)).toContain('too_large');
  });
});
