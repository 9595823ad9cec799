import type { Dictionary, List, Tuple } from './collections.ts';
import type { Int, Plain, Unknown, Values } from './leaves.ts';
import type { ObjectSchema } from './object.ts';
import type { Schema } from './schema.ts';
import type { Choice, Union } from './unions.ts';
import type { Later, Nullable, Optional, WithDefault } from './wrappers.ts';

/** Every kind of schema, told apart by `kind`. */
export type AnySchema =
  | Plain<string | number | boolean>
  | Int
  | Values<string | number | boolean>
  | Unknown
  | Optional
  | Nullable<Schema>
  | WithDefault<Schema>
  | Later
  | List<Schema>
  | Tuple<Schema, Schema>
  | Dictionary<Schema>
  | Union<Schema>
  | Choice<ObjectSchema>
  | ObjectSchema;
