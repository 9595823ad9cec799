import type { PlugIn } from '../lib/catalog.ts';
import { refSchema } from '../lib/common-schemas.ts';
import type { Fault } from '../lib/fault.ts';
import * as s from '../lib/schema/index.ts';
import type { KmsModule } from './kms.ts';
import type { SignerModule } from './signer.ts';

/** Where keys lie that a KMS sealed: in a folder, behind a REF, or (nothing said) in the ledger's Durable Object. */
const wrappedSchema = s.later(() =>
  s.union([
    s.strictObject({ path: s.string().check(s.minLength(1), s.maxLength(4096)) }),
    refSchema,
    s.strictObject({}),
  ]),
);

export type Wrapped = s.infer<typeof wrappedSchema>;

/** What every KMS signer's entry has beside its service's own members, `key` among them. */
export interface KmsSignerConfig {
  readonly kind: string;
  readonly key: string;
  /** The key that seals, where `key` is not itself one. */
  readonly wrap?: string | undefined;
  readonly wrapped?: Wrapped | undefined;
}

export interface KmsSignerParts<Name extends string> {
  readonly name: Name;
  readonly about: string;
  /** Members of the config entry beside `kind` and `wrapped`; `key` is the key's own name. */
  readonly members: Readonly<Record<string, s.Schema>> & { readonly key: s.Schema };
  readonly check?: (config: unknown) => readonly Fault[];
  readonly load: () => Promise<KmsModule>;
}

/**
 * A signer over a KMS, in its two ways: *direct*, the KMS signs each assertion; *wrapped*, it sealed keys that are
 * opened once per start.
 */
export function kmsSigner<Name extends string>(parts: KmsSignerParts<Name>): PlugIn<SignerModule, Name> {
  const { name, about, members, check, load } = parts;
  return {
    name,
    about,
    schema: s.later(() => s.strictObject({ kind: s.literal(name), ...members, wrapped: s.optional(wrappedSchema) })),
    runtimes: ['node', 'lambda', 'workerd'],
    ...(check && { check }),
    load: async () => {
      const [kms, { openDirect }, { openWrapped }] = await Promise.all([
        load(),
        import('./direct.ts'),
        import('./wrapped.ts'),
      ]);
      return {
        open(config, deps) {
          const entry = config as KmsSignerConfig;
          const service = kms.open(entry, deps);
          return entry.wrapped === undefined ? openDirect(service, deps) : openWrapped(entry, service, deps);
        },
      };
    },
  };
}
