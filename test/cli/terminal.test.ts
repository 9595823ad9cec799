import { describe, expect, it } from 'vitest';
import { shown, styles, table, withProgress } from '../../src/cli/terminal.ts';
import { fakeTerminal } from './fake-terminal.ts';

describe('colour', () => {
  it.each([
    ['a terminal', { outIsTerminal: true }, true],
    ['a terminal with an empty NO_COLOR', { outIsTerminal: true, env: { NO_COLOR: '' } }, true],
    ['a terminal with NO_COLOR', { outIsTerminal: true, env: { NO_COLOR: '1' } }, false],
    ['a pipe', { outIsTerminal: false }, false],
  ])('on %s: %j -> %s', (_, parts, coloured) => {
    const { bold, dim } = styles(fakeTerminal(parts));
    expect(bold('x').includes('\u001b')).toBe(coloured);
    expect(dim('x').includes('\u001b')).toBe(coloured);
  });
});

describe('progress', () => {
  const waited = (ms: number) => new Promise((done) => setTimeout(done, ms));

  it('says nothing for work of less than a second, nor ever on a pipe', async () => {
    const quick = fakeTerminal({ errIsTerminal: true });
    await withProgress(quick, 'asking', waited(10));
    const pipe = fakeTerminal({ errIsTerminal: false });
    await withProgress(pipe, 'asking', waited(1200));
    expect(quick.said.err + pipe.said.err).toBe('');
  });

  it('says on stderr what takes longer, on a terminal', async () => {
    const terminal = fakeTerminal({ errIsTerminal: true });
    await withProgress(terminal, 'asking', waited(1500));
    expect(terminal.said).toEqual({ out: '', err: 'asking ...\n' });
  });
});

describe('text', () => {
  it('lines columns up and leaves no space at the end of a line', () => {
    expect(
      table([
        ['A', 'LONG'],
        ['aaa', 'b'],
        ['', ''],
      ]),
    ).toBe('A    LONG\naaa  b\n\n');
  });

  it('shows control characters as question marks', () => {
    expect(shown('a\u001b[31m\u009b\nb')).toBe('a?[31m??b');
    expect(shown('\u202eexe.\u2066x\u2028y')).toBe('?exe.?x?y');
  });
});
