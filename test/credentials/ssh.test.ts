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
import { makeKeyPair, pkcs8 } from './authority.ts';
import { isSignedBy, lineOf, makeSshAuthority, readCertificate, sshString } from './ssh-keys.ts';

const authority = makeSshAuthority();
const entry = {
  kind: 'ssh',
  publicKey: authority.publicKey,
  key: { store: 'vault', name: 'ca' },
  principals: ['work-{{ issuer }}'],
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
  return { data, draft, request, certificate: readCertificate(signed) };
}

const whoWith = (claims: JsonObject) => ({ ...identity, claims: { ...identity.claims, ...claims } });

describeKind(
  'ssh',
  { members: ['certificate', 'keyId', 'serialNumber', 'privateKey'], fingerprinted: 'privateKey' },
  async () => ({ entry, deps }),
);

describe('ssh', () => {
  it.each(['P-256', 'Ed25519'] as const)('signs with a CA key of %s what its public key verifies', async (key) => {
    const own = makeSshAuthority(key);
    const credential = await open({ publicKey: own.publicKey }, depsFor({ ca: own.key }));
    // Often enough to meet numbers with a high bit, and with zeros at their beginning.
    for (let count = 0; count < 40; count++) {
      const { certificate, draft } = await issue(credential);
      expect(isSignedBy(certificate, own.public)).toBe(true);
      expect(certificate.authority.toString('base64')).toBe(own.publicKey.split(' ')[1]);
      expect(draft.mint.alg).toBe(key === 'P-256' ? 'ES256' : 'EdDSA');
    }
  });

  it('has exactly the members signed that say who, by whom, for how long and which', async () => {
    const request = requestFor();
    const credential = await open({ options: { 'force-command': 'uptime', 'source-address': '10.0.0.0/8,::1' } });
    const { mint } = await credential.draft(request);
    const at = (ms: number) => new Date(ms).toISOString().replace(/\.\d+/, '');
    expect(mint).toEqual({
      use: 'ssh',
      alg: 'EdDSA',
      certificate: {
        authority: expect.stringMatching(/^SHA256:[A-Za-z0-9+/]{43}$/),
        type: 'user',
        keyId: `hp_${request.id}`,
        serialNumber: expect.stringMatching(/^[0-9]{1,20}$/),
        principals: ['work-ci'],
        validAfter: at(request.expiresAt - 660_000),
        validBefore: at(request.expiresAt),
        criticalOptions: { 'force-command': 'uptime', 'source-address': '10.0.0.0/8,::1' },
        extensions: ['permit-pty'],
        nonce: expect.stringMatching(/^[\w-]{43}$/),
        publicKey: expect.stringMatching(/^ssh-ed25519 [A-Za-z0-9+/]{68}$/),
      },
    });
  });

  it('writes what the mint says into the certificate, and no more', async () => {
    const options = { 'source-address': '10.0.0.0/8', 'force-command': 'uptime' };
    const extensions = ['permit-pty', 'permit-agent-forwarding', 'permit-pty'];
    const { certificate, data, request, draft } = await issue(await open({ options, extensions }));
    expect(certificate).toMatchObject({
      kind: 'ssh-ed25519-cert-v01@openssh.com',
      serial: BigInt(data.serialNumber as string),
      type: 1,
      keyId: `hp_${request.id}`,
      principals: ['work-ci'],
      after: request.expiresAt / 1000 - 660,
      before: request.expiresAt / 1000,
      options: ['force-command', sshString('uptime').toString(), 'source-address', sshString('10.0.0.0/8').toString()],
      extensions: ['permit-agent-forwarding', '', 'permit-pty', ''],
    });
    expect(certificate.nonce.toString('base64url')).toBe(draft.mint.certificate?.nonce);
    expect(data.certificate?.split(' ')).toEqual([certificate.kind, expect.any(String), data.keyId]);
  });

  it('permits an interactive login and nothing more, unless its config does', async () => {
    expect((await issue(await open())).certificate.extensions).toEqual(['permit-pty', '']);
    expect((await issue(await open({ extensions: [] }))).certificate.extensions).toEqual([]);
    const host = await issue(await open({ type: 'host', principals: ['{{ issuer }}.example'] }));
    expect(host.certificate).toMatchObject({ type: 2, options: [], extensions: [], principals: ['ci.example'] });
  });

  it('has the key id that the record’s account says, and a serial of its own for each issuance', async () => {
    const credential = await open();
    const issued = await Promise.all(Array.from({ length: 50 }, () => issue(credential)));
    for (const { data, request } of issued) expect(data.keyId).toBe(credential.account?.(request.id));
    expect(new Set(issued.map(({ certificate }) => certificate.serial)).size).toBe(50);
    expect(new Set(issued.map(({ certificate }) => certificate.nonce.toString('hex'))).size).toBe(50);
  });

  it('has serials within 64 bits for the first and the last id there is', async () => {
    const credential = await open();
    for (const [id, serial] of [
      ['00000000000000000000000001', 1n],
      ['7zzzzzzzzzzzzzzzzzzzzzzzzz', 2n ** 64n - 1n],
    ] as const)
      expect((await issue(credential, requestFor({ id }))).certificate.serial).toBe(serial);
  });

  it('makes the same bytes of the same mint', async () => {
    const credential = await open();
    const { mint } = await credential.draft(requestFor());
    expect(await credential.sign?.(mint, soon())).toBe(await credential.sign?.(structuredClone(mint), soon()));
  });

  it('makes a key where the caller brings none, which is in no mint', async () => {
    const { data, draft, certificate } = await issue(await open());
    expect(data.privateKey).toMatch(
      /^-----BEGIN OPENSSH PRIVATE KEY-----\n[\w+/=\n]+-----END OPENSSH PRIVATE KEY-----\n$/,
    );
    expect(draft.fingerprinted?.revealText()).toBe(data.privateKey);
    const file = Buffer.from((data.privateKey as string).replace(/-----.*-----|\n/g, ''), 'base64');
    expect(file.includes(certificate.fields[0] as Buffer)).toBe(true);
    expect(JSON.stringify(draft.mint)).not.toContain(data.privateKey?.split('\n')[3]);
  });
});

describe('ssh with a public key', () => {
  it('says so', async () => expect((await open()).takes).toEqual(['publicKey']));

  it.each(['Ed25519', 'P-256', 'RSA-2048'] as const)('is about that key of %s and hands over none', async (name) => {
    const line = lineOf(makeKeyPair(name).publicKey);
    const { data, draft, certificate } = await issue(await open(), requestFor({ publicKey: `${line}\n` }));
    const [type, base64] = line.split(' ') as [string, string];
    expect(certificate.kind).toBe(`${type}-cert-v01@openssh.com`);
    const blob = Buffer.concat([sshString(type), ...certificate.fields.map((field) => sshString(field))]);
    expect(blob.toString('base64')).toBe(base64);
    expect(draft.mint.certificate?.publicKey).toBe(`${type} ${base64}`);
    expect(Object.keys(data).sort()).toEqual(['certificate', 'keyId', 'serialNumber']);
    expect(draft.fingerprinted).toBeUndefined();
  });

  const line = lineOf(makeKeyPair('Ed25519').publicKey);
  const [type, base64] = line.split(' ') as [string, string];
  const blob = Buffer.from(base64, 'base64');
  const ec = Buffer.from(lineOf(makeKeyPair('P-256').publicKey).split(' ')[1] as string, 'base64');
  const offCurve = Buffer.concat([ec.subarray(0, -1), Buffer.from([(ec.at(-1) as number) ^ 1])]);
  const rsa = Buffer.from(lineOf(makeKeyPair('RSA-2048').publicKey).split(' ')[1] as string, 'base64');
  const padded = Buffer.concat([sshString('ssh-rsa'), sshString(Buffer.from([0, 1, 0, 1])), rsa.subarray(18)]);
  const bad: Record<string, string> = {
    'with options before it': `command="sh" ${line}`,
    'with a second one': `${line}\n${line}`,
    'with a NUL': `${type} ${base64} a\0b`,
    'with two spaces': `${type}  ${base64}`,
    'with a space before it': ` ${line}`,
    'of another type than it says': `ecdsa-sha2-nistp256 ${base64}`,
    'with a byte after the key': `${type} ${Buffer.concat([blob, Buffer.alloc(1)]).toString('base64')}`,
    'that is cut off': `${type} ${blob.subarray(0, -1).toString('base64')}`,
    'in another base64': `${type} ${blob.toString('base64url')}-_`,
    'of a point that is on no curve': `ecdsa-sha2-nistp256 ${offCurve.toString('base64')}`,
    'of RSA in a second encoding': `ssh-rsa ${padded.toString('base64')}`,
    'of RSA with 1024 bits': lineOf(makeKeyPair('RSA-1024').publicKey),
    'of P-384': lineOf(makeKeyPair('P-384').publicKey),
    'of DSA': `ssh-dss ${base64}`,
    'that is a private key': pkcs8(makeKeyPair('Ed25519').privateKey),
    'of more than 4 KiB': `${line}${' '.repeat(4096)}`,
    'that is empty': '',
  };
  it.each(Object.entries(bad))('refuses one %s', async (_, publicKey) => {
    const refusal = await refusalOf(async () => (await open()).draft(requestFor({ publicKey })));
    expect([refusal.code, refusal.reason]).toEqual(['invalid_request', 'public_key']);
  });

  it('refuses a certificate', async () => {
    const { data } = await issue(await open());
    const refusal = await refusalOf(async () =>
      (await open()).draft(requestFor({ publicKey: data.certificate as string })),
    );
    expect(refusal.reason).toBe('public_key');
  });

  it('refuses any bytes under any type, and never fails otherwise', async () => {
    const credential = await open();
    const types = fc.constantFrom('ssh-ed25519', 'ecdsa-sha2-nistp256', 'ssh-rsa');
    const strings = fc.array(fc.uint8Array({ maxLength: 70 }), { maxLength: 4 });
    const lines = fc.oneof(
      fc.string({ maxLength: 200 }),
      fc.tuple(types, strings).map(([name, parts]) => {
        const bytes = Buffer.concat([sshString(name), ...parts.map((part) => sshString(part))]);
        return `${name} ${bytes.toString('base64')}`;
      }),
    );
    await fc.assert(
      fc.asyncProperty(lines, async (publicKey) => {
        const isKey = /^ssh-ed25519 /.test(publicKey) && Buffer.from(publicKey.slice(12), 'base64').length === 51;
        if (isKey) return;
        expect((await refusalOf(async () => credential.draft(requestFor({ publicKey })))).reason).toBe('public_key');
      }),
      { numRuns: 500 },
    );
  });
});

describe('the principals of an ssh', () => {
  const named = async (more: object, x: unknown) =>
    (await issue(await open(more), requestFor({ identity: whoWith({ x } as JsonObject) }))).certificate.principals;

  it('come from the identity, each once, values beside text percent-encoded', async () => {
    expect(await named({ principals: ['{{ claims.x }}', 'deploy', 'w-{{ claims.x }}', 'deploy'] }, 'a:b')).toEqual([
      'a:b',
      'deploy',
      'w-a%3Ab',
    ]);
    expect((await open({ principals: ['{{ claims.x }}'] })).needs).toEqual(['x']);
  });

  it.each([
    'a,b',
    'a b',
    'a\tb',
    '*',
    'a?',
    '!a',
    '"a"',
    "'a'",
    '#a',
    'a\\b',
    'ü',
    'a\u202eb',
    'a\0',
    'a\n',
    '',
    ' ',
    'a'.repeat(256),
  ])('never are %j', async (x) => {
    const refusal = await refusalOf(named({ principals: ['{{ claims.x }}'] }, x));
    expect([refusal.code, refusal.reason]).toEqual(['denied', 'template']);
  });

  it.each([...hostileSubjects, 'a,root', 'a b', '*'])(
    'hold %j beside text without a comma, a space or a wildcard',
    async (x) => {
      if (x.length > 253)
        return expect((await refusalOf(named({ principals: ['w-{{ claims.x }}'] }, x))).code).toBe('denied');
      const principals = await named({ principals: ['w-{{ claims.x }}'] }, x);
      expect(principals).toEqual([expect.stringMatching(/^w-[\w.~%-]+$/)]);
      expect(decodeURIComponent(principals[0]?.slice(2) as string)).toBe(x);
    },
  );

  it.each(['*', '*.example', 'a?', 'A.example', 'a_b', 'a b', '-a', 'a-', 'a,b', 'ü', '', 'a\0'])(
    'of a host never are %j: clients take wildcards there',
    async (x) => {
      expect((await refusalOf(named({ type: 'host', principals: ['{{ claims.x }}'] }, x))).code).toBe('denied');
    },
  );

  it('of a host keep each value within its label', async () => {
    const host = { type: 'host', principals: ['{{ claims.x }}.vm.example'] };
    expect(await named(host, 'a1')).toEqual(['a1.vm.example']);
    expect((await refusalOf(named(host, 'a.b'))).code).toBe('denied');
    expect(await named({ type: 'host', principals: ['{{ claims.x }}'] }, '10.0.0.1')).toEqual(['10.0.0.1']);
  });

  it('are never none, which would be any', async () => {
    expect(faultsOf({ ...entry, principals: [] })).not.toEqual([]);
    expect(faultsOf({ ...entry, principals: undefined })).not.toEqual([]);
    expect((await refusalOf(named({ principals: ['deploy', '{{ claims.x }}'] }, undefined))).code).toBe('denied');
  });
});

describe('the ledger’s side of an ssh', () => {
  const config = { principals: ['{{ claims.team }}'], options: { 'force-command': 'uptime' }, ttl: '15m' };
  const caller = whoWith({ team: 'shop' });

  async function rig() {
    const credential = await open(config);
    const request = requestFor({ identity: caller });
    const { mint } = await credential.draft(request);
    const claims = withClaims({}, caller.claims, credential.needs ?? []);
    const facts: MintFacts = { ...factsFor(request, request.now + 3_000), identity: { ...caller, claims } };
    return { credential, mint, facts };
  }

  it('passes what this credential would have signed, from the disclosed claims alone', async () => {
    const { credential, mint, facts } = await rig();
    expect(() => credential.check(mint, facts)).not.toThrow();
  });

  it('passes another key and another nonce, and nothing that is none', async () => {
    const { credential, mint, facts } = await rig();
    const withMember = (member: string, value: unknown) =>
      ({ ...mint, certificate: { ...mint.certificate, [member]: value } }) as Mint;
    const line = lineOf(makeKeyPair('RSA-2048').publicKey, '').trim();
    expect(() => credential.check(withMember('publicKey', line), facts)).not.toThrow();
    expect(() => credential.check(withMember('nonce', 'A'.repeat(43)), facts)).not.toThrow();
    for (const bad of [
      `${line} comment`,
      `${line}\n`,
      lineOf(makeKeyPair('P-384').publicKey, '').trim(),
      '',
      undefined,
      1,
      null,
    ])
      expect((await refusalOf(() => credential.check(withMember('publicKey', bad), facts))).reason).toBe('mint');
    for (const bad of ['A'.repeat(42), 'A'.repeat(44), '', undefined, 1, null])
      expect((await refusalOf(() => credential.check(withMember('nonce', bad), facts))).reason).toBe('mint');
  });

  it('refuses each changed, added or missing member', async () => {
    const { credential, mint, facts } = await rig();
    const certificate = mint.certificate as JsonObject;
    const changed: Mint[] = [
      ...Object.keys(certificate).flatMap((name) => {
        const { [name]: value, ...rest } = certificate;
        const other = Array.isArray(value) ? [...value, 'root'] : typeof value === 'string' ? `${value}x` : {};
        return [
          { ...mint, certificate: rest },
          { ...mint, certificate: { ...certificate, [name]: other } },
          { ...mint, certificate: { ...certificate, [name]: null } },
        ];
      }),
      { ...mint, certificate: { ...certificate, principals: [] } },
      { ...mint, certificate: { ...certificate, type: 'host' } },
      { ...mint, certificate: { ...certificate, extra: true } },
      { ...mint, alg: 'ES256' },
      { ...mint, use: 'x509' },
      { ...mint, claims: {} },
      { use: 'ssh', alg: 'EdDSA' },
    ];
    for (const bad of changed)
      expect((await refusalOf(() => credential.check(bad, facts))).code, JSON.stringify(bad)).toBe('denied');
  });

  it('refuses what does not fit the record: another id, person, lease or time, or a life above the ceiling', async () => {
    const { credential, mint, facts } = await rig();
    const { identity: who, lease, time } = facts;
    const other: MintFacts[] = [
      { ...facts, issuance: requestFor().id },
      { ...facts, identity: { ...who, claims: { team: 'root' } } },
      { ...facts, identity: { ...who, claims: {} } },
      { ...facts, lease: { ...lease, ttl: 599 } },
      { ...facts, lease: { ...lease, ttl: 1000 } },
      { ...facts, lease: { ...lease, expiresAt: 'never' } },
      { ...facts, time: time + 120_000 },
      { ...facts, time: time - 60_000 },
    ];
    for (const about of other)
      expect((await refusalOf(() => credential.check(mint, about))).code, JSON.stringify(about)).toBe('denied');
  });

  it.each([
    ['there is none', {}, 'absent'],
    ['it is another’s', { ca: makeSshAuthority().key }, 'authority_key'],
    ['it is of another kind', { ca: makeSshAuthority('P-256').key }, 'authority_key'],
    ['it is none', { ca: 'canary' }, 'authority_key'],
    [
      'it is cut off',
      { ca: '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----' },
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

  it('signs with what it made itself as a CA’s key: OpenSSH’s own format', async () => {
    const made = await issue(await open());
    const publicKey = made.draft.mint.certificate?.publicKey as string;
    const credential = await open({ publicKey }, depsFor({ ca: made.data.privateKey as string }));
    const { certificate } = await issue(credential);
    expect(certificate.authority.toString('base64')).toBe(publicKey.split(' ')[1]);
  });
});

describe('the config of an ssh', () => {
  it.each([
    { publicKey: '' },
    { publicKey: authority.publicKey.replace(/.{4} ca$/, ' ca') },
    { publicKey: authority.publicKey.replace('ssh-ed25519', 'ecdsa-sha2-nistp256') },
    { publicKey: lineOf(makeKeyPair('RSA-2048').publicKey) },
    { publicKey: lineOf(makeKeyPair('P-384').publicKey) },
    { publicKey: `cert-authority ${authority.publicKey}` },
    { publicKey: `${authority.publicKey}\n${authority.publicKey}` },
    { type: 'both' },
    { principals: ['{{ nobody }}'] },
    { principals: 'deploy' },
    { options: { 'verify-required': '' } },
    { options: { 'force-command': 'a\nb' } },
    { options: { 'source-address': 'example.com' } },
    { options: { 'source-address': '10.0.0.0/8, ::1' } },
    { extensions: ['permit-everything'] },
    { type: 'host', extensions: [] },
    { type: 'host', options: { 'force-command': 'x' } },
    { ttl: '8d' },
    { key: authority.key },
  ])('refuses %j', (more) => {
    expect(faultsOf({ ...entry, ...more })).not.toEqual([]);
  });

  it('lives an hour at most unless it says otherwise', async () => {
    expect((await open()).maxTtl).toBe(3600);
    expect((await open({ ttl: '7d' })).maxTtl).toBe(604_800);
  });
});
