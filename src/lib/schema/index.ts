export type { AnySchema } from './any-schema.ts';
export * from './checks.ts';
export { array, record, tuple } from './collections.ts';
export { type AnyObject, catchall, extend, later, omit, shapeOf } from './derived.ts';
export { boolean, int, literal, number, oneOf as enum, string, unknown } from './leaves.ts';
export { object, strictObject } from './object.ts';
export { type Infer as infer, type Issue, parse, Schema, SchemaError, safeParse } from './schema.ts';
export { choice, union } from './unions.ts';
export { nullable, optional, withDefault } from './wrappers.ts';
