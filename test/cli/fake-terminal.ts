import { randomBytes } from 'node:crypto';
import type { Terminal } from '../../src/cli/terminal.ts';

export interface FakeTerminal extends Terminal {
  readonly said: { out: string; err: string };
}

/** A terminal that remembers what was said; nothing is reachable unless `fetch` is given. */
export function fakeTerminal(parts: Partial<Terminal> = {}): FakeTerminal {
  const said = { out: '', err: '' };
  return {
    env: {},
    folder: '/nowhere',
    outIsTerminal: false,
    errIsTerminal: false,
    inIsTerminal: false,
    out: (text) => {
      said.out += typeof text === 'string' ? text : Buffer.from(text).toString();
    },
    outTaken: async () => {},
    err: (text) => {
      said.err += text;
    },
    input: async () => new Uint8Array(0),
    fetch: async () => {
      throw new TypeError('unreachable');
    },
    now: Date.now,
    random: (bytes) => randomBytes(bytes),
    withoutReader: () => {},
    stopped: () => new Promise(() => {}),
    end: () => {},
    hearSignals: () => () => {},
    start: () => {
      throw new Error('starts nothing');
    },
    ...parts,
    said,
  };
}
