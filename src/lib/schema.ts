import * as z from 'zod/mini';
import type { $ZodType } from 'zod/v4/core';
import { parseDuration } from './time.ts';
import { isAbsoluteUri, urlFault } from './url.ts';

/**
 * A schema that is built when it is first asked about a value: of a thousand that the catalogs hold, a start needs two
 * hundred. For what stands at the top of a module, and for members that few configs have; not for what has a default.
 */
export function later<S extends $ZodType>(build: () => S): z.ZodMiniLazy<S> {
  const schema: z.ZodMiniLazy<S> = Object.create(z.ZodMiniLazy.prototype);
  // Even a lazy schema of zod takes as long to make as any other, and half of these are never looked at.
  return Object.defineProperty(schema, '_zod', { configurable: true, get: () => built(schema, build) });
}

/** Makes of it in place what `z.lazy` makes. */
function built<S extends $ZodType>(schema: z.ZodMiniLazy<S>, build: () => S): z.ZodMiniLazy<S>['_zod'] {
  const { init }: { init: (instance: z.ZodMiniLazy<S>, def: { type: 'lazy'; getter: () => S }) => void } =
    z.ZodMiniLazy;
  Reflect.deleteProperty(schema, '_zod');
  init(schema, { type: 'lazy', getter: build });
  const { _zod: made } = schema;
  for (const finish of made.deferred ?? []) finish();
  made.deferred = undefined;
  // Asked of each member that is absent; zod would build the schema for the answer.
  made.optin = undefined;
  return made;
}

/** An object schema, built or not yet. */
export type ObjectSchema = z.ZodMiniObject | z.ZodMiniLazy<z.ZodMiniObject>;

/** The members of an object schema, by name. */
export const shapeOf = (schema: ObjectSchema) =>
  (schema instanceof z.ZodMiniLazy ? schema._zod.innerType : schema)._zod.def.shape as Readonly<
    Record<string, z.ZodMiniType>
  >;

/** What a reference into a store says. */
export const refMembers = () => ({
  store: z.string().check(z.minLength(1), z.maxLength(128)),
  name: z.string().check(z.minLength(1), z.maxLength(512)),
  version: z.optional(later(() => z.string().check(z.minLength(1), z.maxLength(256)))),
  field: z.optional(later(() => z.string().check(z.minLength(1), z.maxLength(256)))),
});

/** A reference into a store, as every plug-in's config entry writes it. */
export const refSchema = later(() => z.strictObject(refMembers()));

/** A duration such as `15m` between two numbers of seconds. It stays the text that was written. */
export const durationSchema = (least: number, most: number) =>
  later(() =>
    z.string('expected a duration such as 15m').check(
      z.regex(/^[1-9][0-9]{0,8}[smhd]$/, 'expected a duration such as 90s, 15m, 1h or 7d'),
      z.refine((text) => {
        const seconds = parseDuration(text);
        return seconds === undefined || (seconds >= least && seconds <= most);
      }, `expected a duration from ${least} to ${most} seconds`),
    ),
  );

/** The URI by which a token exchange may ask for a credential besides its name (RFC 8707 section 2). */
export const resourceSchema = later(() =>
  z.string().check(z.refine(isAbsoluteUri, 'expected an absolute URI without a fragment, of at most 255 characters')),
);

/** A URL that may be called: https, http on loopback only, nothing hidden in it. */
export const urlSchema = z.string().check(
  z.check((context) => {
    const fault = urlFault(context.value);
    if (fault !== undefined) context.issues.push({ code: 'custom', message: fault, input: context.value });
  }),
);
