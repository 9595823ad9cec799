import * as s from '../../lib/schema/index.ts';
import type { AssertionFacts, AssertionTerms } from '../session.ts';

export const roleSchema = s.later(() =>
  s.string().check(s.regex(/^arn:aws(-[a-z]+)*:iam::[0-9]{12}:role\/[\w+=,.@/-]{1,512}$/, "expected a role's ARN")),
);

export const audienceSchema = s.optional(
  s.later(() => s.string().check(s.regex(/^[\w.:/-]{1,255}$/, 'expected 1 to 255 of A-Za-z0-9_.:/-'))),
);

/** Claims that AWS reads of a web identity token (IAM: pass session tags, source identity). */
const tagsClaim = 'https://aws.amazon.com/tags';
const sourceClaim = 'https://aws.amazon.com/source_identity';

/** What AWS makes of one assertion: tags of the session, by name, and what stays with it through every chained role. */
export interface AwsMarks {
  readonly tags: Readonly<Record<string, string>>;
  readonly sourceIdentity?: string | undefined;
}

/** What stands in an assertion for AWS's token service. */
export const awsTerms = (
  audience = 'sts.amazonaws.com',
  marksOf: (about: AssertionFacts) => AwsMarks,
): AssertionTerms => ({
  audience,
  algorithms: ['ES256', 'RS256'],
  ttl: 300,
  claims(about) {
    const { tags, sourceIdentity } = marksOf(about);
    const principal = Object.fromEntries(Object.entries(tags).map(([name, value]) => [name, [value]]));
    return {
      [tagsClaim]: { principal_tags: principal, transitive_tag_keys: [] },
      ...(sourceIdentity === undefined ? {} : { [sourceClaim]: sourceIdentity }),
    };
  },
});
