import type { $ZodType, $ZodTypes } from 'zod/v4/core';

/** The schemas that may apply at a path below `schema`: several where a union leaves it open. */
export function innerSchema(schema: $ZodType, path: readonly PropertyKey[]): readonly $ZodType[] {
  let open = branches(schema);
  for (const step of path) open = open.flatMap((one) => below(one, step)).flatMap(branches);
  return open;
}

/** Every member name that an object at this place may have. */
export function namesOf(schemas: readonly $ZodType[]): string[] {
  return [
    ...new Set(
      schemas.flatMap((schema) => {
        const { def } = (schema as $ZodTypes)._zod;
        return def.type === 'object' ? Object.keys(def.shape) : [];
      }),
    ),
  ];
}

function branches(schema: $ZodType): $ZodType[] {
  const { def } = (schema as $ZodTypes)._zod;
  switch (def.type) {
    case 'union':
      return def.options.flatMap(branches);
    case 'intersection':
      return [...branches(def.left), ...branches(def.right)];
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
    case 'readonly':
    case 'nonoptional':
      return branches(def.innerType);
    case 'pipe':
      return branches(def.in);
    case 'lazy':
      return branches(def.getter());
    default:
      return [schema];
  }
}

function below(schema: $ZodType, step: PropertyKey): $ZodType[] {
  const { def } = (schema as $ZodTypes)._zod;
  switch (def.type) {
    case 'object': {
      const inner = def.shape[String(step)];
      return inner === undefined ? [] : [inner];
    }
    case 'record':
      return [def.valueType];
    case 'array':
      return [def.element];
    case 'tuple': {
      const inner = def.items[Number(step)];
      return inner === undefined ? [] : [inner];
    }
    default:
      return [];
  }
}
