import { createPrivateKey, type KeyObject } from 'node:crypto';
import { fromBase64Url, sha256, toBase64, toBase64Url } from '../../lib/bytes.ts';
import type { Mint } from '../../lib/mint.ts';
import { Refusal } from '../../lib/refusal.ts';
import { Secret } from '../../lib/secret.ts';
import { instant, parseDuration } from '../../lib/time.ts';
import { parseNameTemplate } from '../host-name.ts';
import type { IssueRequest, KindDeps, SignedCredential } from '../kind.ts';
import { issuanceNumber } from '../serial.ts';
import { defaultMaxTtl, isSame, type Life, lifeFor, lifeIn, pkcs8Key, signByRef, unlike } from '../signed.ts';
import type { SshConfig } from '../ssh.ts';
import { parseTemplate, type Subject, unfilledPlace } from '../template.ts';
import { algorithmOf, type Content, certificateLine, toBeSigned } from './certificate.ts';
import { isOpenSshKey, makeKey, readPrivateKey } from './private-key.ts';
import { isOnCurve, keyObject, type PublicKey, parsePublicLine, publicLine } from './public-key.ts';

/** What of a certificate does not follow from the config and the record. */
type Chosen = Pick<Content, 'publicKey' | 'nonce'>;

const nonceBytes = 32;

export function open(config: SshConfig, deps: KindDeps): SignedCredential {
  const authority = parsePublicLine(config.publicKey);
  if (authority === undefined) throw new Error('publicKey is no public key of a CA');
  const authorityKey = keyObject(authority);
  const maxTtl = config.ttl === undefined ? defaultMaxTtl : (parseDuration(config.ttl) as number);
  const parse = config.type === 'host' ? parseHost : parseUser;
  const principals = config.principals.map(parse);
  const alg = algorithmOf(authority);
  // Permitted is what an interactive login needs; forwarding and a user's own rc file only where the config says so.
  const extensions = config.extensions ?? (config.type === 'user' ? ['permit-pty'] : []);
  const options = Object.entries(config.options ?? {}).filter(([, value]) => value !== undefined);

  function write(about: Subject, issuance: string, { from, until }: Life, { publicKey, nonce }: Chosen): Mint {
    const certificate: Content = {
      authority: fingerprintOf(authority as PublicKey),
      type: config.type,
      keyId: keyIdFor(issuance),
      serialNumber: serialFor(issuance),
      principals: [...new Set(principals.map((principal) => principal.fill(about)))],
      validAfter: instant(from * 1000),
      validBefore: instant(until * 1000),
      criticalOptions: Object.fromEntries(options) as Content['criticalOptions'],
      extensions: [...new Set(extensions)].sort(),
      nonce,
      publicKey,
    };
    return { use: 'ssh', alg, certificate };
  }

  return {
    made: 'signed',
    takes: ['publicKey'],
    maxTtl,
    needs: [...new Set(principals.flatMap((principal) => principal.claims))],
    unfilled: (identity) => unfilledPlace(principals, identity),
    account: keyIdFor,
    draft(request) {
      const made = request.publicKey === undefined ? makeKey(deps.random) : undefined;
      const publicKey = publicLine(made?.publicKey ?? readBrought(request));
      const nonce = toBase64Url(deps.random(nonceBytes));
      const mint = write(request.identity, request.id, lifeFor(request), { publicKey, nonce });
      const { keyId, serialNumber } = mint.certificate as Content;
      if (made === undefined)
        return { mint, finish: (certificate) => ({ data: { certificate, keyId, serialNumber } }) };
      const { pem: privateKey } = made;
      const finish = (certificate: string) => ({ data: { certificate, keyId, serialNumber, privateKey } });
      return { mint, fingerprinted: new Secret(privateKey), finish };
    },
    check(mint, facts) {
      const { publicKey, nonce } = (mint.certificate ?? {}) as Record<string, unknown>;
      if (!isPublicLine(publicKey) || !isNonce(nonce)) throw unlike();
      const life = lifeIn(facts, maxTtl);
      if (!isSame(mint, write(facts.identity, facts.issuance, life, { publicKey, nonce }))) throw unlike();
    },
    async sign({ certificate }, deadline) {
      const content = certificate as Content;
      const data = toBeSigned(content, authority);
      const how = { alg, publicKey: authorityKey, keyOf, data, deadline };
      return certificateLine(content, data, await signByRef(config.key, deps, how), authority);
    },
  };
}

const keyIdFor = (issuance: string): string => `hp_${issuance}`;

/** The last 64 bits of the issuance id, which are random. */
const serialFor = (issuance: string): string => BigInt.asUintN(64, issuanceNumber(issuance)).toString();

const fingerprintOf = ({ blob }: PublicKey): string => `SHA256:${toBase64(sha256(blob)).replace(/=+$/, '')}`;

const keyOf = (text: string): KeyObject =>
  isOpenSshKey(text) ? createPrivateKey({ key: readPrivateKey(text), format: 'jwk' }) : pkcs8Key(text);

/** A user's: printable ASCII, without what separates, quotes or stands for others in sshd's files. */
function parseUser(text: string) {
  const { claims, places, fill } = parseTemplate(text);
  return {
    claims,
    places,
    fill(subject: Subject) {
      const name = fill(subject);
      if (!/^[\x21-\x7e]{1,255}$/.test(name) || /[,"'\\*?!#]/.test(name)) throw new Refusal('denied', 'template');
      return name;
    },
  };
}

/** A host's name or address, as clients look for it; they take * and ? in it for wildcards (ssh's match_pattern). */
const parseHost = (text: string) =>
  parseNameTemplate(text, (name) => /^[a-z0-9:](?:[a-z0-9.:-]{0,253}[a-z0-9])?$/.test(name));

function readBrought({ publicKey }: IssueRequest): PublicKey {
  const key = parsePublicLine(publicKey ?? '');
  if (key === undefined || !isOnCurve(key))
    throw new Refusal('invalid_request', 'public_key', {
      detail: 'publicKey is no public key that can be taken',
      hint: 'one line as ssh-keygen writes it: ssh-ed25519, ecdsa-sha2-nistp256, or ssh-rsa of 2048 bits and more',
    });
  return key;
}

function isPublicLine(line: unknown): line is string {
  const key = typeof line === 'string' ? parsePublicLine(line) : undefined;
  return key !== undefined && publicLine(key) === line;
}

const isNonce = (text: unknown): text is string =>
  typeof text === 'string' && fromBase64Url(text)?.length === nonceBytes;
