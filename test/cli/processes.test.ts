import { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Failure } from '../../src/cli/failure.ts';
import { startChild } from '../../src/cli/processes.ts';

const codeOf = async (words: readonly string[], env: NodeJS.ProcessEnv = {}) => {
  try {
    return await startChild(words, { ...process.env, ...env }).ended;
  } catch (error) {
    return error instanceof Failure ? { code: error.code, message: error.message } : error;
  }
};

describe('a command that cannot be started', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-start-'));
  const file = join(folder, 'text');
  writeFileSync(file, 'text');
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('ends as in a shell, whichever way the system says so', async () => {
    const node = [process.execPath, '-e', ''];
    expect(await codeOf(['no-such-command'])).toEqual({ code: 127, message: 'no-such-command is not found' });
    expect(await codeOf([''])).toMatchObject({ code: 127 });
    expect(await codeOf([file])).toMatchObject({ code: 126 });
    expect(await codeOf([join(file, 'in-a-file')])).toMatchObject({ code: 126 });
    const long = { FAKE_VALUE: 'not-a-secret'.repeat(100_000) };
    expect(await codeOf(node, long)).toEqual({
      code: 126,
      message: `${process.execPath} cannot be started (E2BIG)`,
    });
  });
});

describe('a command that takes no signal of ours', () => {
  afterEach(() => vi.restoreAllMocks());

  it('runs on, and its own end is what counts', async () => {
    vi.spyOn(ChildProcess.prototype, 'kill').mockImplementation(function (this: ChildProcess) {
      this.emit('error', Object.assign(new Error('kill EPERM'), { code: 'EPERM' }));
      return false;
    });
    const child = startChild([process.execPath, '-e', 'setTimeout(() => process.exit(7), 200)'], process.env);
    child.kill('SIGTERM');
    child.kill('SIGTERM');
    expect(await child.ended).toBe(7);
  });
});
