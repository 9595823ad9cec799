import type { Identity } from '../lib/identity.ts';
import type { Member } from '../lib/issuer-shape.ts';
import * as s from '../lib/schema/index.ts';
import { isJsonObject } from '../lib/strict-json.ts';
import { audienceFaults } from './issuer-config.ts';
import { encodeComponent, type Preset } from './preset.ts';
import { refuseToken } from './refuse.ts';

const members = {
  worker: { type: 'string' },
  environment: { type: 'string' },
} as const satisfies Record<string, Member>;

/**
 * Cloudflare Workers of our own account, who have no issuer: a service binding carries `props`, which whoever deploys the
 * calling Worker sets and the Worker itself cannot change (Cloudflare docs, "Service bindings", `ctx.props`). No token opens it.
 */
export const workerBinding: Preset = {
  name: 'worker-binding',
  about: 'Cloudflare Workers of the same account, named by the props of their service binding',
  schema: s.strictObject({
    kind: s.literal('worker-binding'),
    audience: s.string().check(s.minLength(1), s.maxLength(255)),
  }),
  shape: { preset: 'worker-binding', members, generic: false },
  check: (config) => audienceFaults((config as { audience: string }).audience),
  compile: () => [],
};

export const isWorkerBinding = (config: unknown): config is { readonly audience: string } =>
  isJsonObject(config) && config.kind === 'worker-binding';

const text = /^[\x21-\x7e]{1,255}$/;

/** Who a binding with these props is. @throws Refusal token_invalid, reason `binding`, for any but `{ audience, worker, environment? }` */
export function bindingIdentity(issuers: Readonly<Record<string, unknown>>, props: unknown): Identity {
  if (!isJsonObject(props)) throw refuseToken('binding');
  const { audience, worker, environment, ...rest } = props;
  const found = Object.entries(issuers).find(([, config]) => isWorkerBinding(config) && config.audience === audience);
  if (found === undefined || Object.keys(rest).length > 0) throw refuseToken('binding', found?.[0]);
  const [issuer] = found;
  if (typeof worker !== 'string' || !text.test(worker)) throw refuseToken('binding', issuer);
  if (environment !== undefined && (typeof environment !== 'string' || !text.test(environment)))
    throw refuseToken('binding', issuer);
  const said: Readonly<Record<string, string>> = environment === undefined ? { worker } : { worker, environment };
  const path = Object.values(said).map(encodeComponent).join('/');
  return {
    issuer,
    iss: `worker-binding:${audience as string}`,
    // One Worker in two environments is two: a lease of the one is nothing to the other.
    subject: path,
    claims: said,
    name: `${issuer}:${path}`,
    members: said,
    disclosed: said,
  };
}
