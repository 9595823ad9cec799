import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { toBase64 } from '../../lib/bytes.ts';
import type { Mint } from '../../lib/mint.ts';
import { Refusal } from '../../lib/refusal.ts';
import { Secret } from '../../lib/secret.ts';
import { parseSpiffeId } from '../../lib/spiffe-id.ts';
import { instant, parseDuration } from '../../lib/time.ts';
import { isAbsoluteUri } from '../../lib/url.ts';
import { writePem } from '../der.ts';
import { isHostName, parseNameTemplate } from '../host-name.ts';
import type { KindDeps, SignedCredential } from '../kind.ts';
import { issuanceNumber, serialHex } from '../serial.ts';
import { defaultMaxTtl, isSame, type Life, lifeFor, lifeIn, pkcs8Key, signByRef, unlike } from '../signed.ts';
import { parseTemplate, type Subject, type Template, unfilledPlace } from '../template.ts';
import type { X509Config } from '../x509.ts';
import { readAuthority } from './authority.ts';
import { type Content, certificateOf, toBeSigned } from './certificate.ts';
import { keyTypeOf } from './public-key.ts';
import { readRequest } from './request.ts';

/** Of a common name (RFC 5280 appendix A: ub-common-name). */
const longestName = 64;

export function open(config: X509Config, deps: KindDeps): SignedCredential {
  const authority = readAuthority(config.certificate);
  const authorityKey = createPublicKey({ key: Buffer.from(authority.spki), format: 'der', type: 'spki' });
  const maxTtl = config.ttl === undefined ? defaultMaxTtl : (parseDuration(config.ttl) as number);
  const uri = config.uri === undefined ? undefined : parseUri(config.uri);
  const commonName = config.commonName === undefined ? undefined : parseCommonName(config.commonName);
  const dns = config.dns?.map((template) => parseNameTemplate(template, isHostName));
  const templates = [uri, commonName, ...(dns ?? [])].filter((template) => template !== undefined);
  const chain = [config.certificate, config.chain ?? ''].map((pem) => pem.trim()).filter((pem) => pem !== '');

  function write(about: Subject, issuance: string, { from, until }: Life, publicKey: string): Mint {
    // A certificate good for longer than its CA's is good for no longer.
    if (until > authority.until) throw new Refusal('store_failed', 'authority_ends');
    const certificate: Content = {
      authority: authority.fingerprint,
      serialNumber: accountFor(issuance),
      notBefore: instant(Math.max(from, authority.from) * 1000),
      notAfter: instant(until * 1000),
      ...(commonName !== undefined && { commonName: commonName.fill(about) }),
      ...(uri !== undefined && { uri: uri.fill(about) }),
      ...(dns !== undefined && { dns: [...new Set(dns.map((template) => template.fill(about)))] }),
      usages: [...new Set(config.usages)].sort(),
      publicKey,
    };
    return { use: 'x509', alg: authority.alg, certificate };
  }

  return {
    made: 'signed',
    takes: ['csr'],
    /** Less where the CA's own end is near. */
    get maxTtl() {
      return Math.min(maxTtl, Math.max(1, authority.until - Math.floor(deps.now() / 1000)));
    },
    needs: [...new Set(templates.flatMap((template) => template.claims))],
    unfilled: (identity) => unfilledPlace(templates, identity),
    account: accountFor,
    draft(request) {
      const made = request.csr === undefined ? makeKey(config.keys) : undefined;
      const spki = made?.publicKey ?? readRequest(request.csr as string);
      const mint = write(request.identity, request.id, lifeFor(request), toBase64(spki));
      const { serialNumber, notAfter } = mint.certificate as Content;
      const shared = { chain: `${chain.join('\n')}\n`, serialNumber, notAfter };
      if (made === undefined) return { mint, finish: (certificate) => ({ data: { certificate, ...shared } }) };
      const { privateKey } = made;
      const finish = (certificate: string) => ({ data: { certificate, ...shared, privateKey } });
      return { mint, fingerprinted: new Secret(privateKey), finish };
    },
    check(mint, facts) {
      const { publicKey } = mint.certificate ?? {};
      if (typeof publicKey !== 'string' || !isPublicKey(publicKey)) throw unlike();
      const life = lifeIn(facts, maxTtl);
      if (!isSame(mint, write(facts.identity, facts.issuance, life, publicKey))) throw unlike();
    },
    async sign({ certificate }, deadline) {
      const data = toBeSigned(certificate as Content, authority);
      const how = { alg: authority.alg, publicKey: authorityKey, keyOf: pkcs8Key, data, deadline };
      const signature = await signByRef(config.key, deps, how);
      return writePem('CERTIFICATE', certificateOf(data, signature, authority));
    },
  };
}

const accountFor = (issuance: string): string => serialHex(issuanceNumber(issuance));

function makeKey(type: X509Config['keys']) {
  const publicKeyEncoding = { type: 'spki', format: 'der' } as const;
  const privateKeyEncoding = { type: 'pkcs8', format: 'pem' } as const;
  return type === 'Ed25519'
    ? generateKeyPairSync('ed25519', { publicKeyEncoding, privateKeyEncoding })
    : generateKeyPairSync('ec', { namedCurve: 'P-256', publicKeyEncoding, privateKeyEncoding });
}

function isPublicKey(base64: string): boolean {
  const spki = Buffer.from(base64, 'base64');
  return toBase64(spki) === base64 && keyTypeOf(spki) !== undefined;
}

function parseUri(text: string): Template {
  const template = parseTemplate(text);
  return {
    ...template,
    fill(about) {
      const uri = template.fill(about);
      const fits = /^spiffe:/i.test(uri) ? parseSpiffeId(uri) !== undefined : isAbsoluteUri(uri);
      if (!fits) throw new Refusal('denied', 'template');
      return uri;
    },
  };
}

/**
 * What shows as another text than it is (direction marks and their like) is no name, nor what is another's name where
 * names are compared as RFC 5280 section 7.1 has it: with spaces left out and characters in another form.
 */
function parseCommonName(text: string): Template {
  const template = parseTemplate(text);
  return {
    ...template,
    fill(about) {
      const name = template.fill(about);
      const isPlain = !/\p{C}|^ | $| {2}/u.test(name) && name.normalize('NFKC') === name;
      if ([...name].length > longestName || !isPlain) throw new Refusal('denied', 'template');
      return name;
    },
  };
}
