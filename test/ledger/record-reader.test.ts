import { describe, expect, it } from 'vitest';
import { type LedgerRecord, parseRecord } from '../../src/ledger/record.ts';
import { openRecordReader } from '../../src/ledger/record-reader.ts';
import { clockAt, digest, scribe } from './fixtures.ts';

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
  const read = openRecordReader();

  it('reads them as parseRecord does, in any order and again', () => {
    for (const text of [...texts, ...texts.toReversed(), ...texts]) expect(read(text)).toEqual(parseRecord(text));
  });

  it('refuses what parseRecord refuses, for the same reason, and is misled by none of it', () => {
    for (const text of texts) {
      for (const mutation of mutations(text)) {
        const [ours, theirs] = [outcome(read, mutation), outcome(parseRecord, mutation)];
        if (JSON.stringify(ours) !== JSON.stringify(theirs)) expect.fail(`${mutation}: ${JSON.stringify(ours)}`);
      }
      expect(read(text)).toEqual(parseRecord(text));
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
