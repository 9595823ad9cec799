import { PassThrough } from 'node:stream';
import type { Context } from 'hono';
import { describe, expect, it } from 'vitest';
import { fronts } from '../../src/http/front.ts';

const contextOf = (incoming: PassThrough) => ({ env: { incoming } }) as unknown as Context;

describe('a body read straight from the socket', () => {
  it('is all that came, in whatever pieces', async () => {
    const incoming = new PassThrough();
    const reading = fronts.node.readWhole(contextOf(incoming));
    incoming.write('{"ttl"');
    setImmediate(() => incoming.end(':"5m"}'));
    expect(Buffer.from(await reading).toString()).toBe('{"ttl":"5m"}');
  });

  it('ends early for a caller who leaves half-way', async () => {
    const incoming = new PassThrough();
    const reading = fronts.node.readWhole(contextOf(incoming));
    incoming.write('{"ttl"');
    setImmediate(() => incoming.destroy());
    await expect(reading).rejects.toThrow('closed');
  });

  it('ends at once for a caller who had left before it was asked for', async () => {
    const incoming = new PassThrough();
    incoming.destroy();
    await new Promise((resolve) => incoming.once('close', resolve));
    await expect(fronts.node.readWhole(contextOf(incoming))).rejects.toThrow('closed');
  });
});
