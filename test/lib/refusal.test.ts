import { describe, expect, it } from 'vitest';
import { Refusal } from '../../src/lib/refusal.ts';

describe('Refusal', () => {
  it('carries the code for the caller and the reason for the log apart', () => {
    const refusal = new Refusal('token_invalid', 'signature', { facts: { issuer: 'ci' } });
    expect([refusal.code, refusal.reason, refusal.options.facts]).toEqual([
      'token_invalid',
      'signature',
      { issuer: 'ci' },
    ]);
  });

  it('is an Error that says both, and keeps its cause', () => {
    const cause = new Error('inner');
    const refusal = new Refusal('store_failed', 'store_denied', { cause, detail: 'the store refused' });
    expect(refusal).toBeInstanceOf(Error);
    expect([refusal.name, refusal.message, refusal.cause]).toEqual(['Refusal', 'store_failed: store_denied', cause]);
  });

  it('has no details unless they are given', () => {
    expect(new Refusal('denied', 'no_grant').options).toEqual({});
  });
});
