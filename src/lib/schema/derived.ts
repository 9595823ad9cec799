import { ObjectSchema, type Shape } from './object.ts';
import type { Schema } from './schema.ts';
import { Later } from './wrappers.ts';

/**
 * A schema that is built when it is first asked about a value: of a thousand that the catalogs hold, a start needs two
 * hundred. For what stands at the top of a module, and for members that few configs have.
 */
export const later = <S extends Schema>(build: () => S) => new Later(build);

/** An object schema, built or not yet. */
export type AnyObject = ObjectSchema | Later<ObjectSchema>;

/** The members of an object schema, by name. */
export const shapeOf = (schema: AnyObject): Shape => (schema instanceof Later ? schema.inner : schema).shape;

/** With more members, or others of the same names. The conditions on the whole are not taken along. */
export const extend = <S extends Shape, M extends Shape>({ shape, rest }: ObjectSchema<S>, more: M) =>
  new ObjectSchema<Omit<S, keyof M> & M>({ ...shape, ...more }, rest);

/** Without a member. The conditions on the whole are not taken along. */
export function omit<S extends Shape, K extends keyof S & string>({ shape, rest }: ObjectSchema<S>, member: K) {
  const { [member]: _, ...others } = shape;
  return new ObjectSchema<Omit<S, K>>(others, rest);
}

/** Takes members that the shape does not name too, where they fit `rest`. */
export const catchall = <S extends Shape, R extends Schema>({ shape }: ObjectSchema<S>, rest: R) =>
  new ObjectSchema<S, Record<string, unknown>>(shape, rest);
