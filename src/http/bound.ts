const props = new WeakMap<Request, unknown>();

/** Says that a request came by a service binding with these props, which the caller cannot change. */
export function bindRequest(request: Request, of: unknown): Request {
  props.set(request, of);
  return request;
}

/** The props of a request that came by a binding; `undefined` for all others. */
export const propsOf = (request: Request): { readonly props: unknown } | undefined =>
  props.has(request) ? { props: props.get(request) } : undefined;
