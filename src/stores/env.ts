import * as s from '../lib/schema/index.ts';
import { Secret } from '../lib/secret.ts';
import { cacheSchema } from './cache.ts';
import { type Store, type StoreDeps, StoreError, type StorePlugIn } from './store.ts';

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('env'),
    prefix: s.withDefault(
      s.string().check(s.regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, 'a prefix is letters, digits and underscores')),
      'HALLPASS_SECRET_',
    ),
    cache: cacheSchema,
  }),
);

/** What a platform hands over as variables or secret bindings; a variable has one version, `env`. */
export const env: StorePlugIn = {
  name: 'env',
  about: 'Variables of the environment or secret bindings, read-only',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  versionless: () => true,
  unrotated: () => 'all',
  nameFault: (name) =>
    namePattern.test(name) ? undefined : { message: 'a name there is letters, digits and underscores, at most 128' },
  holds: (config) => [`variables that begin with ${(config as s.infer<typeof schema>).prefix}`],
  load: async () => ({ open: (config, deps) => open(config as s.infer<typeof schema>, deps) }),
};

const version = 'env';
const namePattern = /^[A-Za-z0-9_]{1,128}$/;

function open({ prefix }: s.infer<typeof schema>, { env }: StoreDeps): Store {
  // A variable set to nothing is a deployment gone wrong, not a secret.
  const isSet = (variable: string) =>
    Object.hasOwn(env, variable) && typeof env[variable] === 'string' && env[variable] !== '';

  function find(name: string, wanted?: string): string {
    const variable = prefix + name;
    if (!namePattern.test(name) || !isSet(variable)) throw new StoreError('absent');
    if (wanted !== undefined && wanted !== version) throw new StoreError('absent');
    return env[variable] as string;
  }

  return {
    get: async (name, wanted) => ({ value: new Secret(find(name, wanted)), version }),
    async describe(name) {
      find(name);
      return { name, version, versions: 1 };
    },
    list: async () =>
      Object.keys(env)
        .filter((variable) => variable.startsWith(prefix) && isSet(variable))
        .map((variable) => variable.slice(prefix.length))
        .filter((name) => namePattern.test(name))
        .sort(),
    async put() {
      throw new StoreError('read_only');
    },
    async remove() {
      throw new StoreError('read_only');
    },
  };
}
