import * as s from './schema/index.ts';
import { parseDuration } from './time.ts';
import { isAbsoluteUri, urlFault } from './url.ts';

/** What a reference into a store says. */
export const refMembers = () => ({
  store: s.string().check(s.minLength(1), s.maxLength(128)),
  name: s.string().check(s.minLength(1), s.maxLength(512)),
  version: s.optional(s.later(() => s.string().check(s.minLength(1), s.maxLength(256)))),
  field: s.optional(s.later(() => s.string().check(s.minLength(1), s.maxLength(256)))),
});

/** A reference into a store, as every plug-in's config entry writes it. */
export const refSchema = s.later(() => s.strictObject(refMembers()));

/** A duration such as `15m` between two numbers of seconds. It stays the text that was written. */
export const durationSchema = (least: number, most: number) =>
  s.later(() =>
    s.string('expected a duration such as 15m').check(
      s.regex(/^[1-9][0-9]{0,8}[smhd]$/, 'expected a duration such as 90s, 15m, 1h or 7d'),
      s.refine((text) => {
        const seconds = parseDuration(text);
        return seconds === undefined || (seconds >= least && seconds <= most);
      }, `expected a duration from ${least} to ${most} seconds`),
    ),
  );

/** The URI by which a token exchange may ask for a credential besides its name (RFC 8707 section 2). */
export const resourceSchema = s.later(() =>
  s.string().check(s.refine(isAbsoluteUri, 'expected an absolute URI without a fragment, of at most 255 characters')),
);

/** A URL that may be called: https, http on loopback only, nothing hidden in it. */
export const urlSchema = s.string().check(s.test(urlFault));
