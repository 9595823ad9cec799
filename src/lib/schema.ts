import * as z from 'zod/mini';
import { parseDuration } from './time.ts';
import { isAbsoluteUri, urlFault } from './url.ts';

/** A reference into a store, as every plug-in's config entry writes it. */
export const refSchema = z.strictObject({
  store: z.string().check(z.minLength(1), z.maxLength(128)),
  name: z.string().check(z.minLength(1), z.maxLength(512)),
  version: z.optional(z.string().check(z.minLength(1), z.maxLength(256))),
  field: z.optional(z.string().check(z.minLength(1), z.maxLength(256))),
});

/** A duration such as `15m` between two numbers of seconds. It stays the text that was written. */
export const durationSchema = (least: number, most: number) =>
  z.string('expected a duration such as 15m').check(
    z.regex(/^[1-9][0-9]{0,8}[smhd]$/, 'expected a duration such as 90s, 15m, 1h or 7d'),
    z.refine((text) => {
      const seconds = parseDuration(text);
      return seconds === undefined || (seconds >= least && seconds <= most);
    }, `expected a duration from ${least} to ${most} seconds`),
  );

/** The URI by which a token exchange may ask for a credential besides its name (RFC 8707 section 2). */
export const resourceSchema = z
  .string()
  .check(z.refine(isAbsoluteUri, 'expected an absolute URI without a fragment, of at most 255 characters'));

/** A URL that may be called: https, http on loopback only, nothing hidden in it. */
export const urlSchema = z.string().check(
  z.check((context) => {
    const fault = urlFault(context.value);
    if (fault !== undefined) context.issues.push({ code: 'custom', message: fault, input: context.value });
  }),
);
