import { durationSchema } from '../lib/common-schemas.ts';
import type { Fault } from '../lib/fault.ts';
import * as s from '../lib/schema/index.ts';
import { parseDuration } from '../lib/time.ts';
import { originSchema, regionSchema } from '../sessions/aws/region.ts';
import { audienceSchema, awsTerms, roleSchema } from '../sessions/aws/terms.ts';
import { accountOf } from './account.ts';
import type { KindPlugIn } from './index.ts';

const policyArn = s.later(() =>
  s
    .string()
    .check(s.regex(/^arn:aws(-[a-z]+)*:iam::([0-9]{12}|aws):policy\/[\w+=,.@/-]{1,512}$/, "expected a policy's ARN")),
);

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('aws-role'),
    role: roleSchema,
    region: s.optional(regionSchema),
    sts: s.optional(originSchema),
    login: s.optional(s.enum(['assertion', 'ambient'])),
    audience: audienceSchema,
    policy: s.optional(
      s
        .record(s.string(), s.unknown())
        .check(
          s.refine(
            (policy) => Array.isArray(policy.Statement) && /^[\t\n\r -\xff]{1,2048}$/.test(JSON.stringify(policy)),
            'expected a policy with a list of statements, at most 2048 characters of Latin-1 as JSON',
          ),
        ),
    ),
    policyArns: s.optional(s.array(policyArn).check(s.minLength(1), s.maxLength(10))),
    ttl: s.optional(durationSchema(30, 43_200)),
  }),
);

export type AwsRoleConfig = s.infer<typeof schema>;

/** What a session is known by in AWS: as which issuance, of which credential. */
export const marksOf = (credential: string, issuance: string | undefined) => {
  const sourceIdentity = accountOf(issuance);
  return { tags: { hallpass: sourceIdentity.slice(3), 'hallpass-credential': credential }, sourceIdentity };
};

/** A session of a role, made for one issuance and named after it. */
export const awsRole: KindPlugIn = {
  name: 'aws-role',
  about: 'A session of an AWS role, named after its issuance',
  made: 'read',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  check: (config) => findFaults(config as AwsRoleConfig),
  assertion(config) {
    const { login, audience } = config as AwsRoleConfig;
    return login === 'ambient' ? undefined : awsTerms(audience, ({ store, issuance }) => marksOf(store, issuance));
  },
  async load() {
    const { open } = await import('./aws-role/open.ts');
    return { open: (config, deps) => open(config as AwsRoleConfig, deps) };
  },
};

function findFaults({ role, region, login, audience, ttl = '1h' }: AwsRoleConfig): Fault[] {
  const faults: Fault[] = [];
  if (region === undefined && !role.startsWith('arn:aws:'))
    faults.push({ path: ['region'], message: 'a role outside the partition aws needs a region' });
  if (login !== 'ambient') return faults;
  if (audience !== undefined)
    faults.push({ path: ['audience'], message: 'an audience is of an assertion, and login: ambient makes none' });
  if ((parseDuration(ttl) as number) > 3600)
    faults.push({ path: ['ttl'], message: 'a session got by another session lasts an hour at most' });
  return faults;
}
