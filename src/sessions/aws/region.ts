import { urlSchema } from '../../lib/common-schemas.ts';
import * as s from '../../lib/schema/index.ts';

/** A region by its code, such as `eu-west-1`, `us-gov-east-1`, `cn-north-1`. */
export const regionSchema = s.later(() =>
  s.string().check(s.regex(/^[a-z]{2,4}(-[a-z]{2,12}){1,3}-[0-9]{1,2}$/, 'expected a region such as eu-west-1')),
);

/** By the beginning of a region's code: the domains of the partitions that are not under amazonaws.com. */
const domains: readonly (readonly [string, string])[] = [
  ['cn-', 'amazonaws.com.cn'],
  ['eusc-', 'amazonaws.eu'],
];

/** Where a service answers in a region. The isolated partitions must name their endpoints in the config. */
export function endpointOf(service: string, region: string): string {
  const domain = domains.find(([prefix]) => region.startsWith(prefix))?.[1] ?? 'amazonaws.com';
  return `https://${service}.${region}.${domain}`;
}

/** Where a service is asked in place of AWS's own: scheme, host and port, as what is signed has no path. */
export const originSchema = urlSchema.check(
  s.refine((text) => !URL.canParse(text) || new URL(text).origin === text, 'expected a URL without a path'),
);
