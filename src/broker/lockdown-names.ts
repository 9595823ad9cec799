import type { Lockdown } from '../lib/lockdown.ts';
import { nearest } from '../lib/suggest.ts';

/** What the config has, by what a lockdown can name. */
export type KnownNames = Readonly<Record<'issuer' | 'grant' | 'role' | 'credential' | 'store', readonly string[]>>;

/** A member that stops nothing here, and what was meant perhaps; a name of the config is told only to who may lock it. */
export interface Unknown {
  readonly member: string;
  readonly suggestion?: string | undefined;
}

/** Names this config does not have: a typing error, or those of another broker of the same ledger. */
export function unknownNames({ identity, ...match }: Lockdown['match'], known: KnownNames): readonly Unknown[] {
  const unknown: Unknown[] = [];
  for (const [member, name] of Object.entries(match)) {
    const names = known[member as keyof KnownNames];
    if (!names.includes(name)) unknown.push({ member, suggestion: nearest(name, names) });
  }
  // An identity's name begins with that of its issuer.
  const issuer = identity?.split(':')[0];
  if (issuer !== undefined && issuer !== '*' && !known.issuer.includes(issuer))
    unknown.push({ member: 'identity', suggestion: nearest(issuer, known.issuer) });
  return unknown;
}
