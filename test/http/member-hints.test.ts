import { expect, it } from 'vitest';
import { batchBody, checked, issueBody } from '../../src/http/schemas.ts';
import type * as s from '../../src/lib/schema/index.ts';

const bodies: readonly (readonly [s.AnyObject, unknown, detail: string, hint: string])[] = [
  [issueBody, { reason: 'x'.repeat(257) }, 'The member reason is not valid.', 'at most 256 characters'],
  [issueBody, { reason: 'two\nlines' }, 'The member reason is not valid.', 'no control characters'],
  [issueBody, { reason: 3 }, 'The member reason is not valid.', 'a text'],
  [batchBody, {}, 'The member names is missing.', 'a list'],
  [batchBody, { names: [] }, 'The member names is not valid.', 'at least 1 entry'],
  [batchBody, { names: Array(17).fill('a') }, 'The member names is not valid.', 'at most 16 entries'],
  [batchBody, { names: ['a', 'a'] }, 'The member names is not valid.', 'each name once'],
];

it.each(bodies)('a body is refused with what its member takes', (schema, body, detail, hint) => {
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  expect(() => checked(schema, bytes)).toThrow(
    expect.objectContaining({ code: 'invalid_request', options: { detail, hint } }),
  );
});
