import { X509Certificate } from 'node:crypto';
import { durationSchema, refSchema } from '../lib/common-schemas.ts';
import type { Fault } from '../lib/fault.ts';
import * as s from '../lib/schema/index.ts';
import type { KindPlugIn } from './index.ts';
import { templateFaults } from './template.ts';

const text = s.later(() => s.string().check(s.minLength(1), s.maxLength(1024)));
const pem = s.later(() => s.string().check(s.minLength(1), s.maxLength(65_536)));

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('x509'),
    key: s.optional(refSchema),
    certificate: pem,
    chain: s.optional(pem),
    uri: s.optional(text),
    dns: s.optional(s.array(text).check(s.minLength(1), s.maxLength(16))),
    commonName: s.optional(text),
    usages: s.withDefault(s.array(s.enum(['client', 'server'])).check(s.minLength(1), s.maxLength(2)), ['client']),
    keys: s.withDefault(s.enum(['P-256', 'Ed25519']), 'P-256'),
    ttl: s.optional(durationSchema(30, 604_800)),
  }),
);

export type X509Config = s.infer<typeof schema>;

/** A certificate of a CA of one's own, with a SPIFFE ID or host names by templates over the identity. */
export const x509: KindPlugIn = {
  name: 'x509',
  about: 'An X.509 certificate of a CA of one’s own, signed once its record is durable',
  made: 'signed',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  check: (config) => findFaults(config as X509Config),
  async load() {
    const { open } = await import('./x509/open.ts');
    return { open: (config, deps) => open(config as X509Config, deps) };
  },
};

function findFaults({ certificate, chain = '', uri, dns, commonName, usages }: X509Config): Fault[] {
  const faults: Fault[] = [];
  const add = (member: string, message: string) => faults.push({ path: [member], message });
  if (!isAuthority(certificate)) add('certificate', 'expected one CA certificate (PEM) with a P-256 or Ed25519 key');
  if (!chain.split(/(?<=-----END CERTIFICATE-----)\s*/).every(isCertificate))
    add('chain', 'expected certificates (PEM)');
  if (uri === undefined && dns === undefined) add('uri', 'a certificate says a uri or dns names');
  // Else whoever fills in a place there says whose trust domain it is.
  if (
    uri !== undefined &&
    !/^(?:spiffe:\/\/[a-z0-9._-]{1,255}\/|(?!spiffe:)[a-z][a-z0-9+.-]*:|\{\{ *subject *\}\}$)/.test(uri)
  )
    add('uri', 'expected spiffe://trust.domain/path, another URI with its scheme written out, or {{ subject }}');
  // OpenSSL takes a common name for a host name where there are no others.
  if (commonName !== undefined && dns === undefined && usages.includes('server'))
    add('commonName', 'a server without dns has no commonName');
  for (const [member, template] of Object.entries({ uri, commonName }))
    if (template !== undefined) faults.push(...templateFaults(template, [member]));
  for (const [at, template] of (dns ?? []).entries()) faults.push(...templateFaults(template, ['dns', at]));
  return faults;
}

const isCertificate = (pem: string): boolean => pem === '' || parse(pem) !== undefined;

function isAuthority(pem: string): boolean {
  const { ca, publicKey } = parse(pem) ?? {};
  const { kty, crv } = publicKey?.export({ format: 'jwk' }) ?? {};
  // A point in its long form only, as in the keys that certificates are made about.
  const length = publicKey?.export({ format: 'der', type: 'spki' }).length;
  return ca === true && ((crv === 'P-256' && length === 91) || (kty === 'OKP' && crv === 'Ed25519'));
}

const onePem = /^\s*-----BEGIN CERTIFICATE-----\r?\n[A-Za-z0-9+/=\r\n]+-----END CERTIFICATE-----\s*$/;

function parse(pem: string): X509Certificate | undefined {
  try {
    return onePem.test(pem) ? new X509Certificate(pem) : undefined;
  } catch {
    return undefined;
  }
}
