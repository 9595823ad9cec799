import { expect, it } from 'vitest';
import { examine } from '../../../src/ledger/log/examine.ts';
import { brokerTypes } from '../../../src/ledger/records/writer.ts';
import { asking, clockAt, scribe, writer } from '../fixtures.ts';

const rights = { name: writer.name, types: brokerTypes, mint: [] };
const theirs = scribe(clockAt());

it.each([
  ['another name than its writer has', { ...rights, name: 'https://other.test' }, theirs.denial(), /broker\.url/],
  ['a type that is not its writer’s to write', rights, theirs.lockdown('add', 'all', 1), /no record of type lockdown/],
])('tells a writer of %s what is wrong, as it is mostly the config of one of the two', (_, who, text, detail) => {
  expect(() => examine(asking(text), who)).toThrow(
    expect.objectContaining({ code: 'invalid_request', options: { detail: expect.stringMatching(detail) } }),
  );
});
