import type * as s from '../../lib/schema/index.ts';

/** The schemas that may apply at a path below `schema`: several where a union leaves it open. */
export function innerSchema(schema: s.Schema, path: readonly PropertyKey[]): readonly s.Schema[] {
  let open = branches(schema);
  for (const step of path) open = open.flatMap((one) => below(one, step)).flatMap(branches);
  return open;
}

/** Every member name that an object at this place may have. */
export function namesOf(schemas: readonly s.Schema[]): string[] {
  const names = schemas.flatMap((schema) => {
    const one = schema as s.AnySchema;
    return one.kind === 'object' ? Object.keys(one.shape) : [];
  });
  return [...new Set(names)];
}

function branches(schema: s.Schema): s.Schema[] {
  const one = schema as s.AnySchema;
  switch (one.kind) {
    case 'union':
    case 'choice':
      return one.options.flatMap(branches);
    case 'optional':
    case 'nullable':
    case 'default':
    case 'later':
      return branches(one.inner);
    default:
      return [schema];
  }
}

function below(schema: s.Schema, step: PropertyKey): s.Schema[] {
  const one = schema as s.AnySchema;
  switch (one.kind) {
    case 'object': {
      const inner = one.shape[String(step)];
      return inner === undefined ? [] : [inner];
    }
    case 'record':
      return [one.value];
    case 'array':
      return [one.item];
    case 'tuple': {
      const inner = one.items[Number(step)];
      return inner === undefined ? [] : [inner];
    }
    default:
      return [];
  }
}
