import * as z from 'zod/mini';
import type { $ZodType } from 'zod/v4/core';
import { kinds } from '../../credentials/index.ts';
import { presets } from '../../identity/index.ts';
import { signers } from '../../keys/index.ts';
import { ledgerDrivers } from '../../ledger/index.ts';
import { grantSchema, roleSchema } from '../../policy/schema.ts';
import { sinks } from '../../sinks/index.ts';
import { stores } from '../../stores/index.ts';
import { brokerSchema, entryName, limitsSchema } from './sections.ts';

const described = z.registry<{ description: string }>();

/** The JSON Schema (draft 2020-12) of a config, for editors; made at build time, never on the request path. */
export function configJsonSchema(): object {
  const signer = oneOf(signers);
  const config = z.strictObject({
    broker: z.extend(brokerSchema, { signer: z.union([signer, z.array(signer).check(z.minLength(1))]) }),
    ledger: oneOf(ledgerDrivers),
    issuers: z.optional(named(oneOf(presets))),
    stores: z.optional(named(oneOf(stores))),
    credentials: z.optional(named(oneOf(kinds))),
    roles: z.optional(named(roleSchema)),
    grants: z.optional(z.array(grantSchema)),
    sinks: z.optional(named(oneOf(sinks))),
    limits: z.optional(limitsSchema),
  });
  const { $schema, ...schema } = z.toJSONSchema(config, {
    target: 'draft-2020-12',
    io: 'input',
    unrepresentable: 'any',
    metadata: described,
  });
  return { $schema, title: 'Hallpass config', ...schema };
}

const named = (entry: $ZodType) => z.record(z.string().check(z.regex(entryName)), entry);

function oneOf(catalog: readonly { readonly schema: $ZodType; readonly about: string }[]): $ZodType {
  for (const { schema, about } of catalog) described.add(schema, { description: about });
  return z.union(catalog.map(({ schema }) => schema));
}
