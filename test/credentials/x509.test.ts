import { createPrivateKey, X509Certificate } from 'node:crypto';
import { connect, createServer, type PeerCertificate, type TLSSocket } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KindDeps, MintFacts, SignedCredential } from '../../src/credentials/kind.ts';
import { withClaims } from '../../src/lib/claims.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import type { Mint } from '../../src/lib/mint.ts';
import type { JsonObject } from '../../src/lib/strict-json.ts';
import {
  depsFor,
  describeKind,
  factsFor,
  faultsOf,
  hostileSubjects,
  identity,
  openKind,
  refusalOf,
  requestFor,
} from '../contracts/kind.ts';
import { freePort } from '../support/free-port.ts';
import { type KeyName, makeAuthority, makeKeyPair, makeRequest, pem, pkcs8 } from './authority.ts';

const authority = makeAuthority();
const entry = {
  kind: 'x509',
  certificate: authority.certificate,
  key: { store: 'vault', name: 'ca' },
  uri: 'spiffe://acme.example/{{ issuer }}/work',
};
const deps = depsFor({ ca: authority.key });
const open = async (more = {}, with_: KindDeps = deps) =>
  (await openKind({ ...entry, ...more }, with_)) as SignedCredential;
const soon = () => deadlineIn(10_000, Date.now);

/** As the broker and the ledger's side go about it, one after the other. */
async function issue(credential: SignedCredential, request = requestFor()) {
  const draft = await credential.draft(request);
  credential.check(draft.mint, factsFor(request));
  const signed = (await credential.sign?.(draft.mint, soon())) as string;
  const data = draft.finish(signed).data as Record<string, string>;
  return { data, draft, x509: new X509Certificate(signed), request };
}

const whoWith = (claims: JsonObject) => ({ ...identity, claims: { ...identity.claims, ...claims } });

describeKind(
  'x509',
  { members: ['certificate', 'chain', 'serialNumber', 'notAfter', 'privateKey'], fingerprinted: 'privateKey' },
  async () => ({ entry, deps }),
);

describe('x509', () => {
  it.each(['P-256', 'Ed25519'] as const)(
    'signs with a CA key of %s what the CA’s certificate verifies',
    async (key) => {
      const own = makeAuthority({ key });
      const credential = await open({ certificate: own.certificate }, depsFor({ ca: own.key }));
      const { x509, data, draft } = await issue(credential);
      expect(x509.verify(new X509Certificate(own.certificate).publicKey)).toBe(true);
      expect(x509.checkIssued(new X509Certificate(own.certificate))).toBe(true);
      expect(draft.mint.alg).toBe(key === 'P-256' ? 'ES256' : 'EdDSA');
      expect(data.chain).toBe(own.certificate);
    },
  );

  it('has exactly the members signed that say who, by whom, for how long and which', async () => {
    const request = requestFor();
    const { mint } = await (await open({ dns: ['{{ issuer }}.svc.example'], commonName: 'a' })).draft(request);
    const at = (ms: number) => new Date(ms).toISOString().replace(/\.\d+/, '');
    expect(mint).toEqual({
      use: 'x509',
      alg: 'ES256',
      certificate: {
        authority: new X509Certificate(authority.certificate).fingerprint256.replaceAll(':', '').toLowerCase(),
        serialNumber: expect.stringMatching(/^[0-9A-F]{32}$/),
        notBefore: at(request.expiresAt - 660_000),
        notAfter: at(request.expiresAt),
        commonName: 'a',
        uri: 'spiffe://acme.example/ci/work',
        dns: ['ci.svc.example'],
        usages: ['client'],
        publicKey: expect.any(String),
      },
    });
  });

  it('is an end entity’s that may sign handshakes and nothing else, as an X509-SVID is', async () => {
    const { x509 } = await issue(await open());
    expect(x509.ca).toBe(false);
    expect(x509.subject).toBeUndefined();
    expect(x509.subjectAltName).toBe('URI:spiffe://acme.example/ci/work');
    expect(x509.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    // basicConstraints: empty; keyUsage: digitalSignature; both critical. subjectAltName critical, as there is no subject.
    for (const bytes of ['0603551d130101ff04023000', '0603551d0f0101ff040403020780', '0603551d110101ff'])
      expect(x509.raw.toString('hex')).toContain(bytes);
  });

  it('ends with its lease, to the second', async () => {
    const { x509, request, data } = await issue(await open(), requestFor({ ttl: 300 }));
    expect(Date.parse(x509.validTo)).toBe(request.expiresAt);
    expect(Date.parse(data.notAfter as string)).toBe(request.expiresAt);
    expect(Date.parse(x509.validFrom)).toBe(request.expiresAt - 300_000 - 60_000);
  });

  it('has the serial that the record’s account says, one for each issuance', async () => {
    const credential = await open();
    const [one, other] = [await issue(credential), await issue(credential)];
    expect(one.x509.serialNumber).toBe(credential.account?.(one.request.id));
    expect(one.data.serialNumber).toBe(one.x509.serialNumber);
    expect(one.x509.serialNumber).not.toBe(other.x509.serialNumber);
  });

  it('gives serials that are positive and at most 20 bytes to the first and the last id there is', async () => {
    const credential = await open();
    for (const id of ['00000000000000000000000001', '7zzzzzzzzzzzzzzzzzzzzzzzzz']) {
      const { x509 } = await issue(credential, requestFor({ id }));
      expect(x509.serialNumber).toBe(credential.account?.(id));
      expect(BigInt(`0x${x509.serialNumber}`)).toBeGreaterThan(0n);
    }
  });

  it('makes the same bytes of the same mint', async () => {
    const own = makeAuthority({ key: 'Ed25519' });
    const credential = await open({ certificate: own.certificate }, depsFor({ ca: own.key }));
    const { mint } = await credential.draft(requestFor());
    expect(await credential.sign?.(mint, soon())).toBe(await credential.sign?.(structuredClone(mint), soon()));
  });

  it.each([
    ['P-256', 'ec'],
    ['Ed25519', 'ed25519'],
  ])('makes a key of %s where the caller brings none', async (keys, type) => {
    const { data, x509, draft } = await issue(await open({ keys }));
    const key = createPrivateKey(data.privateKey as string);
    expect(key.asymmetricKeyType).toBe(type);
    expect(x509.checkPrivateKey(key)).toBe(true);
    expect(draft.fingerprinted?.revealText()).toBe(data.privateKey);
    expect(JSON.stringify(draft.mint)).not.toContain(data.privateKey?.split('\n')[1]);
  });

  it('hands over what is above its CA as well', async () => {
    const above = makeAuthority().certificate;
    const { data } = await issue(await open({ chain: above }));
    expect(data.chain).toBe(authority.certificate + above);
  });
});

describe('x509 with a certificate request', () => {
  it('says so', async () => expect((await open()).takes).toEqual(['csr']));

  it.each(['P-256', 'P-384', 'Ed25519', 'RSA-2048'] as const)(
    'is about its key of %s and hands over none',
    async (key) => {
      const { csr, spki } = makeRequest(key);
      const { data, x509, draft } = await issue(await open(), requestFor({ csr }));
      expect(x509.publicKey.export({ type: 'spki', format: 'der' })).toEqual(spki);
      expect(Object.keys(data).sort()).toEqual(['certificate', 'chain', 'notAfter', 'serialNumber']);
      expect(draft.fingerprinted).toBeUndefined();
    },
  );

  it('takes over neither the subject nor the names it asks for', async () => {
    const { x509 } = await issue(await open(), requestFor({ csr: makeRequest().csr }));
    expect(x509.subject).toBeUndefined();
    expect(x509.subjectAltName).toBe('URI:spiffe://acme.example/ci/work');
    expect(x509.raw.includes('bank.example')).toBe(false);
  });

  const { csr, bytes } = makeRequest();
  const bad: Record<string, string> = {
    'signed by another key': makeRequest('P-256', { signer: makeKeyPair('P-256').privateKey }).csr,
    'with its signature cut off': pem('CERTIFICATE REQUEST', bytes.subarray(0, -1)),
    'with a byte after it': pem('CERTIFICATE REQUEST', Buffer.concat([bytes, Buffer.alloc(1)])),
    twice: csr + csr,
    'with text before it': `x\n${csr}`,
    'under another label': csr.replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE'),
    'without its end': csr.slice(0, -30),
    'of 8 KiB and more': csr.replace('\n', '\n'.repeat(8192)),
    'that is none': 'x',
    'that is empty': '',
    'that is a certificate': authority.certificate,
  };
  it.each(Object.entries(bad))('refuses one %s', async (_, text) => {
    const refusal = await refusalOf(async () => (await open()).draft(requestFor({ csr: text })));
    expect([refusal.code, refusal.reason]).toEqual(['invalid_request', 'csr']);
  });

  it.each(['RSA-1024', 'P-521', 'secp256k1'] as KeyName[])('refuses a key of %s', async (key) => {
    const refusal = await refusalOf(async () => (await open()).draft(requestFor({ csr: makeRequest(key).csr })));
    expect(refusal.reason).toBe('csr');
  });

  it('refuses whatever has a byte changed, and never fails otherwise', async () => {
    const credential = await open();
    const whole = makeRequest('Ed25519').bytes;
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const changed = Buffer.from(whole);
        changed[at] = (changed[at] as number) ^ flip;
        const text = pem('CERTIFICATE REQUEST', changed);
        expect((await refusalOf(async () => credential.draft(requestFor({ csr: text })))).reason).toBe('csr');
      }),
      { numRuns: 500 },
    );
  });

  it('refuses any bytes and any text, and never fails otherwise', async () => {
    const credential = await open();
    const anything = fc.oneof(
      fc.string({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }).map((any) => pem('CERTIFICATE REQUEST', any)),
      fc
        .uint8Array({ maxLength: 120 })
        .map((any) => pem('CERTIFICATE REQUEST', Buffer.concat([Buffer.from([0x30, any.length]), any]))),
    );
    await fc.assert(
      fc.asyncProperty(anything, async (text) => {
        expect((await refusalOf(async () => credential.draft(requestFor({ csr: text })))).reason).toBe('csr');
      }),
      { numRuns: 500 },
    );
  });
});

describe('the names in an x509', () => {
  const named = async (more: object, claims: JsonObject) =>
    issue(await open({ uri: undefined, ...more }), requestFor({ identity: whoWith(claims) }));

  it('come from the identity', async () => {
    const templates = {
      uri: 'spiffe://acme.example/ns/{{ claims.ns }}/sa/{{ claims.sa }}',
      dns: ['{{ claims.sa }}.{{ claims.ns }}.svc', 'fixed.example'],
    };
    const { x509 } = await named(templates, { ns: 'shop', sa: 'api' });
    expect(x509.subjectAltName).toBe('URI:spiffe://acme.example/ns/shop/sa/api, DNS:api.shop.svc, DNS:fixed.example');
    expect((await open(templates)).needs).toEqual(['ns', 'sa']);
  });

  it('may be the SPIFFE ID by which the caller came', async () => {
    const request = requestFor({ identity: { ...identity, subject: 'spiffe://other.example/a/b' } });
    const { x509 } = await issue(await open({ uri: '{{ subject }}' }), request);
    expect(x509.subjectAltName).toBe('URI:spiffe://other.example/a/b');
  });

  it('may be any other URI, with values percent-encoded', async () => {
    const { x509 } = await named({ uri: 'urn:acme:{{ claims.x }}' }, { x: 'a/b:ü' });
    expect(x509.subjectAltName).toBe('URI:urn:acme:a%2Fb%3A%C3%BC');
  });

  it.each([
    '..',
    '.',
    'a/b',
    'a b',
    'ü',
    'a~',
    '%61',
    'a\u202e',
    'a'.repeat(2100),
    '',
    'a\0',
    'a\n',
    'a?',
    '{{ issuer }}',
  ])('never hold %j in a SPIFFE ID', async (x) => {
    const refusal = await refusalOf(named({ uri: 'spiffe://acme.example/{{ claims.x }}' }, { x }));
    expect([refusal.code, refusal.reason]).toEqual(['denied', 'template']);
  });

  it.each([
    'a.b',
    '*',
    '-a',
    'a-',
    'A',
    'a_b',
    'a b',
    'ü',
    'xn--\u00fc',
    'a'.repeat(64),
    '',
    '.',
    'a\0.b',
    'a,b',
    'a\u202e',
    "a'",
  ])('never hold %j within a host name', async (x) => {
    const refusal = await refusalOf(named({ dns: ['{{ claims.x }}.svc.example'] }, { x }));
    expect([refusal.code, refusal.reason]).toEqual(['denied', 'template']);
  });

  it.each([
    '10.0.0.1',
    '127.0x1',
    '0x7f000001',
    'a.0x',
    '*.example',
    'a..b',
    '.a',
    'a.',
    'A.example',
    `${'a.'.repeat(127)}a`,
  ])('never hold %j as a host name', async (x) => {
    expect((await refusalOf(named({ dns: ['{{ claims.x }}'] }, { x }))).code).toBe('denied');
  });

  it.each([...hostileSubjects, 'O=Acme/CN=root', 'CN=root,O=Acme', 'a"b', 'ü'])(
    'hold %j in a common name as it is, or not at all',
    async (x) => {
      const work = named({ uri: entry.uri, commonName: '{{ claims.x }}' }, { x });
      if ([...x].length > 64) return expect((await refusalOf(work)).code).toBe('denied');
      const { x509 } = await work;
      const legacy = x509.toLegacyObject().subject as unknown as Record<string, string>;
      expect({ ...legacy }).toEqual({ CN: x });
    },
  );

  const passing = ['root ', ' root', 'a  b', 'a\u00a0b', '\uff52oot', 'o\u0308', 'ﬁle'];
  it.each(['a\u202eb', 'a\0b', 'a\nb', '\u2028', '\ud800', '\ufeff', ...passing])(
    'never hold %j in a common name',
    async (x) => {
      expect((await refusalOf(named({ uri: entry.uri, commonName: '{{ claims.x }}' }, { x }))).code).toBe('denied');
    },
  );
});

describe('the end of the CA itself', () => {
  const until = (seconds: number) => {
    const own = makeAuthority({ until: (Math.floor(Date.now() / 1000) + seconds) * 1000 });
    return open({ certificate: own.certificate }, depsFor({ ca: own.key }));
  };

  it('is no later than that of any certificate: leases are cut short by it', async () => {
    const { maxTtl = 0 } = await until(100);
    expect(maxTtl).toBeGreaterThan(90);
    expect(maxTtl).toBeLessThanOrEqual(100);
  });

  it('is never passed', async () => {
    const refusal = await refusalOf(async () => (await until(100)).draft(requestFor({ ttl: 300 })));
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'authority_ends']);
    expect((await refusalOf(async () => (await until(-5)).draft(requestFor({ ttl: 1 })))).reason).toBe(
      'authority_ends',
    );
  });

  it('has a beginning as well, before which nothing is good', async () => {
    const from = (Math.floor(Date.now() / 1000) - 10) * 1000;
    const own = makeAuthority({ from });
    const { x509 } = await issue(await open({ certificate: own.certificate }, depsFor({ ca: own.key })));
    expect(Date.parse(x509.validFrom)).toBe(from);
  });
});

describe('the ledger’s side of an x509', () => {
  const config = {
    uri: 'spiffe://acme.example/{{ claims.ns }}',
    dns: ['{{ claims.ns }}.svc'],
    commonName: '{{ claims.ns }}',
    ttl: '15m',
  };
  const caller = whoWith({ ns: 'shop' });

  async function rig() {
    const credential = await open(config);
    const request = requestFor({ identity: caller });
    const { mint } = await credential.draft(request);
    const claims = withClaims({}, caller.claims, credential.needs ?? []);
    const facts: MintFacts = { ...factsFor(request, request.now + 3_000), identity: { ...caller, claims } };
    return { credential, request, mint, facts };
  }

  it('passes what this credential would have signed, from the disclosed claims alone', async () => {
    const { credential, mint, facts } = await rig();
    expect(() => credential.check(mint, facts)).not.toThrow();
  });

  it('passes another key, as that is the caller’s to choose, and nothing that is no key', async () => {
    const { credential, mint, facts } = await rig();
    const withKey = (publicKey: unknown) => ({ ...mint, certificate: { ...mint.certificate, publicKey } }) as Mint;
    expect(() => credential.check(withKey(makeRequest('Ed25519').spki.toString('base64')), facts)).not.toThrow();
    const { spki } = makeRequest();
    const compressed = Buffer.concat([spki.subarray(0, 26), Buffer.from([2]), spki.subarray(27, 59)]);
    const weak = makeRequest('RSA-1024').spki;
    for (const bytes of [weak, compressed, Buffer.concat([spki, Buffer.alloc(1)]), spki.subarray(1), Buffer.alloc(0)])
      expect((await refusalOf(() => credential.check(withKey(bytes.toString('base64')), facts))).reason).toBe('mint');
    for (const text of [undefined, null, 1, {}, spki.toString('base64url'), ` ${spki.toString('base64')}`])
      expect((await refusalOf(() => credential.check(withKey(text), facts))).reason).toBe('mint');
  });

  it('refuses each changed, added or missing member', async () => {
    const { credential, mint, facts } = await rig();
    const certificate = mint.certificate as JsonObject;
    const changed: Mint[] = [
      ...Object.keys(certificate).flatMap((name) => {
        const { [name]: value, ...rest } = certificate;
        const other = Array.isArray(value) ? [...value, 'server'] : `${value}x`;
        return [
          { ...mint, certificate: rest },
          { ...mint, certificate: { ...certificate, [name]: other } },
          { ...mint, certificate: { ...certificate, [name]: null } },
        ];
      }),
      { ...mint, certificate: { ...certificate, cA: true } },
      { ...mint, certificate: { ...certificate, ips: ['10.0.0.1'] } },
      { ...mint, alg: 'EdDSA' },
      { ...mint, use: 'ssh' },
      { ...mint, claims: {} },
      { use: 'x509', alg: 'ES256' },
    ];
    for (const bad of changed)
      expect((await refusalOf(() => credential.check(bad, facts))).code, JSON.stringify(bad)).toBe('denied');
  });

  it('refuses what does not fit the record: another id, person, lease or time, or a life above the ceiling', async () => {
    const { credential, mint, facts } = await rig();
    const { identity: who, lease, time } = facts;
    const other: MintFacts[] = [
      { ...facts, issuance: requestFor().id },
      { ...facts, identity: { ...who, claims: { ns: 'other' } } },
      { ...facts, identity: { ...who, claims: {} } },
      { ...facts, lease: { ...lease, ttl: 599 } },
      { ...facts, lease: { ...lease, ttl: 0 } },
      { ...facts, lease: { ...lease, ttl: 1000 } },
      { ...facts, lease: { ...lease, expiresAt: 'never' } },
      { ...facts, time: time + 120_000 },
      { ...facts, time: time - 60_000 },
    ];
    for (const about of other)
      expect((await refusalOf(() => credential.check(mint, about))).code, JSON.stringify(about)).toBe('denied');
    const long = requestFor({ identity: caller, ttl: 1000 });
    const { mint: longer } = await credential.draft(long);
    expect((await refusalOf(() => credential.check(longer, factsFor(long)))).code).toBe('denied');
  });

  it('refuses what was drafted for another CA’s certificate', async () => {
    const { facts, credential } = await rig();
    const theirs = await open({ ...config, certificate: makeAuthority().certificate });
    const { mint } = await theirs.draft(requestFor({ id: facts.issuance, identity: caller }));
    expect((await refusalOf(() => credential.check(mint, facts))).reason).toBe('mint');
  });

  it.each([
    ['there is none', {}, 'absent'],
    ['it is another’s', { ca: makeAuthority().key }, 'authority_key'],
    ['it is of another kind', { ca: pkcs8(makeKeyPair('Ed25519').privateKey) }, 'authority_key'],
    ['it is none', { ca: 'canary' }, 'authority_key'],
    [
      'it is not of PKCS#8',
      { ca: authority.privateKey.export({ type: 'sec1', format: 'pem' }) as string },
      'authority_key',
    ],
  ])('signs nothing with its key where %s', async (_, values, reason) => {
    const credential = await open({}, depsFor(values));
    const { mint } = await credential.draft(requestFor());
    const refusal = await refusalOf(async () => credential.sign?.(mint, soon()));
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', reason]);
    expect(JSON.stringify([refusal.message, refusal.options, refusal.cause])).not.toContain('canary');
  });

  it('signs nothing where the config has no key', async () => {
    const { mint } = await (await open()).draft(requestFor());
    const edge = await open({ key: undefined });
    expect((await refusalOf(async () => edge.sign?.(mint, soon()))).reason).toBe('no_key');
  });
});

describe('the config of an x509', () => {
  const { certificate } = makeAuthority();
  it.each([
    { uri: undefined },
    { uri: 'spiffe://{{ claims.td }}/x' },
    { uri: '{{ claims.id }}' },
    { uri: '{{ issuer }}:x' },
    { uri: 'SPIFFE://acme.example/x' },
    { uri: 'spiffe://acme.example/{{ nobody }}' },
    { dns: [] },
    { dns: ['{{ claims }}'] },
    { commonName: '{{' },
    { usages: ['server'], commonName: 'bank.example' },
    { usages: [] },
    { usages: ['code'] },
    { keys: 'RSA' },
    { ttl: '8d' },
    { key: authority.key },
    { certificate: authority.key },
    { certificate: `${certificate.slice(0, 60)}\n${certificate.slice(64)}` },
    { certificate: makeAuthority({ cA: false }).certificate },
    { certificate: makeAuthority({ keyUsage: '03020780' }).certificate },
    { certificate: certificate + certificate },
    { certificate: `Certificate:\n${certificate}` },
    { certificate: certificate.replaceAll('\n', ' \n') },
    { certificate: makeAuthority({ compressed: true }).certificate },
    { certificate: makeAuthority({ key: 'RSA-2048' }).certificate },
    { certificate: makeAuthority({ key: 'P-384' }).certificate },
    { chain: 'x' },
  ])('refuses %j', (more) => {
    expect(faultsOf({ ...entry, ...more })).not.toEqual([]);
  });

  it('takes a CA certificate without a key usage, as older ones are', async () => {
    const older = makeAuthority({ keyUsage: null });
    const { x509 } = await issue(await open({ certificate: older.certificate }, depsFor({ ca: older.key })));
    expect(x509.checkIssued(new X509Certificate(older.certificate))).toBe(true);
  });

  it('lives an hour at most unless it says otherwise', async () => {
    expect((await open()).maxTtl).toBe(3600);
    expect((await open({ ttl: '7d' })).maxTtl).toBe(604_800);
  });
});

describe('a TLS handshake with an x509', () => {
  const templates = { dns: ['{{ issuer }}.svc.example'], usages: ['server'] };
  const past = () =>
    requestFor({ now: Date.now() - 7_200_000, expiresAt: (Math.floor(Date.now() / 1000) - 60) * 1000, ttl: 7140 });

  interface Seen {
    /** What the server saw of the client, and the client of the server; an error's code where it refused. */
    client?: PeerCertificate | string;
    server?: PeerCertificate | string;
  }

  async function shakeHands(server: Record<string, string>, client: Record<string, string>): Promise<Seen> {
    const port = await freePort();
    const seen: Seen = {};
    const keysOf = ({ certificate, privateKey }: Record<string, string>) => ({ cert: certificate, key: privateKey });
    const listener = createServer({
      ...keysOf(server),
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: false,
    });
    const done = new Promise<void>((resolve) => {
      listener.on('secureConnection', (socket: TLSSocket) => {
        seen.client = socket.authorized ? socket.getPeerCertificate() : String(socket.authorizationError);
        socket.end('x');
        resolve();
      });
      listener.on('tlsClientError', () => resolve());
    });
    await new Promise<void>((resolve) => listener.listen(port, '127.0.0.1', resolve));
    const socket = connect({
      ...keysOf(client),
      port,
      host: '127.0.0.1',
      servername: 'ci.svc.example',
      ca: authority.certificate,
    });
    await new Promise<void>((resolve) => {
      socket.on('secureConnect', () => {
        seen.server = socket.getPeerCertificate();
        socket.resume();
      });
      socket.on('error', (error: NodeJS.ErrnoException) => {
        seen.server ??= error.code ?? error.message;
      });
      socket.on('close', () => resolve());
    });
    await done;
    await new Promise((resolve) => listener.close(resolve));
    return seen;
  }

  it.each(['P-256', 'Ed25519'])('shows each side who the other is, by keys of %s', async (keys) => {
    const { data: server } = await issue(await open({ ...templates, keys }));
    const { data: client } = await issue(await open({ keys }));
    const seen = await shakeHands(server, client);
    expect((seen.client as PeerCertificate).subjectaltname).toBe('URI:spiffe://acme.example/ci/work');
    expect((seen.server as PeerCertificate).subjectaltname).toBe(
      'URI:spiffe://acme.example/ci/work, DNS:ci.svc.example',
    );
  });

  it('fails with a certificate whose lease has ended, on either side', async () => {
    const late = await open({ ...templates, usages: ['client', 'server'], ttl: '2h' });
    const { data: ended } = await issue(late, past());
    const { data: good } = await issue(late);
    expect((await shakeHands(good, ended)).client).toBe('CERT_HAS_EXPIRED');
    expect((await shakeHands(ended, good)).server).toBe('CERT_HAS_EXPIRED');
  });

  it('fails with a client’s certificate for a server, and a server’s for a client', async () => {
    const { data: server } = await issue(await open(templates));
    const { data: client } = await issue(await open({ dns: templates.dns }));
    const seen = await shakeHands(client, server);
    expect(seen.server).toMatch(/INVALID_PURPOSE|unsuitable/i);
    expect((await shakeHands(server, server)).client).toMatch(/INVALID_PURPOSE|unsuitable/i);
  });
});
