import type * as s from '../lib/schema/index.ts';

/** What a member takes, in words that repeat nothing of what was sent; undefined where there are none. */
export function hintOf(issue: s.Issue | undefined): string | undefined {
  // A check's own words, where it has any.
  if (issue?.message !== undefined) return issue.message;
  if (issue?.code === 'too_big') return `at most ${counted(issue.maximum, issue.origin)}`;
  if (issue?.code === 'too_small')
    return `${issue.inclusive ? 'at least' : 'more than'} ${counted(issue.minimum, issue.origin)}`;
  if (issue?.code === 'invalid_type') return types[issue.expected];
  return undefined;
}

/** Whether the member of this issue was not sent at all. */
export const isMissing = (issue: s.Issue | undefined): boolean =>
  issue?.code === 'invalid_type' && issue.input === undefined && issue.path.length > 0;

function counted(count: number, origin: string): string {
  if (origin === 'string') return `${count} ${count === 1 ? 'character' : 'characters'}`;
  if (origin === 'array') return `${count} ${count === 1 ? 'entry' : 'entries'}`;
  return String(count);
}

const types: Readonly<Record<string, string>> = {
  object: 'an object',
  array: 'a list',
  string: 'a text',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
};
