import { kinds } from '../../credentials/index.ts';
import { presets } from '../../identity/index.ts';
import { signers } from '../../keys/index.ts';
import { ledgerDrivers } from '../../ledger/index.ts';
import * as s from '../../lib/schema/index.ts';
import { jsonSchema } from '../../lib/schema/json-schema.ts';
import { grantSchema, roleSchema } from '../../policy/schema.ts';
import { sinks } from '../../sinks/index.ts';
import { stores } from '../../stores/index.ts';
import { brokerSchema, entryName, limitsSchema } from './sections.ts';

const described = new Map<s.Schema, string>();

/** The JSON Schema (draft 2020-12) of a config, for editors; made at build time, never on the request path. */
export function configJsonSchema(): object {
  const signer = oneOf(signers);
  const config = s.strictObject({
    broker: s.extend(brokerSchema, { signer: s.union([signer, s.array(signer).check(s.minLength(1))]) }),
    ledger: oneOf(ledgerDrivers),
    issuers: s.optional(named(oneOf(presets))),
    stores: s.optional(named(oneOf(stores))),
    credentials: s.optional(named(oneOf(kinds))),
    roles: s.optional(named(roleSchema)),
    grants: s.optional(s.array(grantSchema)),
    sinks: s.optional(named(oneOf(sinks))),
    limits: s.optional(limitsSchema),
  });
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Hallpass config',
    ...jsonSchema(config, described),
  };
}

const named = (entry: s.Schema) => s.record(s.string().check(s.regex(entryName)), entry);

function oneOf(catalog: readonly { readonly schema: s.Schema; readonly about: string }[]): s.Schema {
  for (const { schema, about } of catalog) described.set(schema, about);
  return s.union(catalog.map(({ schema }) => schema));
}
