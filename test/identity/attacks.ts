import { createHmac, createPrivateKey, sign as rawSign } from 'node:crypto';
import { audience, encode, goodHeader, makeKey, makeToken, nowSeconds, signText } from './issuer.ts';

export const rsa = makeKey('RS256', 'rsa');
export const ec = makeKey('ES256', 'ec');
export const ec384 = makeKey('ES384', 'ec384');
export const ed = makeKey('EdDSA', 'ed');
const stranger = makeKey('ES256', 'ec');

export const n256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
export const scalar = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex');

// Flips unused bits of the last base64url digit: another spelling of the same bytes.
function respell(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return text.slice(0, -1) + alphabet[alphabet.indexOf(text.at(-1) as string) ^ 1];
}

export type Row = readonly [attack: string, token: string, reason: string];

/** Each attack as a token made of an issuer's good claims, and the reason it must be refused for; keys `rsa` and `ec` are its own. */
export function attacksOn(good: Readonly<Record<string, unknown>>): readonly Row[] {
  const iss = String(good.iss);
  const subject = `"sub":"${good.sub}`;
  const claims = (changes: Record<string, unknown>) => makeToken(ec, { ...good, ...changes });
  const header = (changes: Record<string, unknown>) => makeToken(ec, good, goodHeader(ec, changes));
  const without = (member: string) => {
    const { [member]: _, ...rest } = good;
    return makeToken(ec, rest);
  };
  const [goodFirst, goodSecond, goodThird] = makeToken(ec, good).split('.') as [string, string, string];
  const jsonHeader = JSON.stringify(goodHeader(ec));
  const jsonClaims = JSON.stringify(good);
  const payloadText = (text: string) => makeToken(ec, text);
  const rawPayload = (bytes: Buffer) => signText(ec, `${goodFirst}.${bytes.toString('base64url')}`);

  const withSignature = (signature: Buffer) => `${goodFirst}.${goodSecond}.${signature.toString('base64url')}`;
  const derSignature = rawSign(
    'sha256',
    Buffer.from(`${goodFirst}.${goodSecond}`),
    createPrivateKey(ec.privateKey.export({ type: 'pkcs8', format: 'pem' })),
  );

  function hmacToken(secret: string | Buffer, kid = 'rsa'): string {
    const signed = `${encode({ alg: 'HS256', kid, typ: 'JWT' })}.${encode(good)}`;
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
  }

  const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string;

  return [
    ...['none', 'None', 'NONE', 'nOnE', '', 'HS256', 'PS256', 'RS512', 'toString', '__proto__'].map(
      (alg): Row => [`1: alg ${JSON.stringify(alg)}`, header({ alg }), 'algorithm'],
    ),
    ['1: alg none without signature', `${encode({ alg: 'none', kid: 'ec' })}.${encode(good)}.`, 'malformed'],
    ['1: alg missing', makeToken(ec, good, { kid: 'ec' }), 'header'],
    ['1: alg an array', header({ alg: ['ES256'] }), 'header'],
    ...(
      [
        ['PEM', pem],
        ['trimmed PEM', pem.trim()],
        ['DER', rsa.publicKey.export({ type: 'spki', format: 'der' })],
        ['JWK', JSON.stringify(rsa.jwk)],
        ['modulus', Buffer.from(rsa.jwk.n as string, 'base64url')],
        ['empty', ''],
      ] as const
    ).map(([form, secret]): Row => [`2: HS256 keyed with the RSA key as ${form}`, hmacToken(secret), 'algorithm']),
    ['3: ES256 with the kid of the RSA key', header({ kid: 'rsa' }), 'algorithm'],
    ['3: RS256 with the kid of the EC key', makeToken(rsa, good, goodHeader(rsa, { kid: 'ec' })), 'algorithm'],
    ...(
      [
        ['jwk', ec.jwk],
        ['jku', 'https://evil.example/jwks'],
        ['x5u', 'https://evil.example/cert'],
        ['x5c', ['MIIB']],
      ] as const
    ).map(([member, value]): Row => [`4: ${member} beside a good signature`, header({ [member]: value }), 'header']),
    ...['../../etc/passwd', "ec' OR '1'='1", 'ec\u0000', 'ec ', 'EC', '__proto__', 'constructor'].map(
      (kid): Row => [`5: kid ${JSON.stringify(kid)}`, header({ kid }), 'kid'],
    ),
    ...[1, ['ec'], { kid: 'ec' }, null, '', 'k'.repeat(257), 'k'.repeat(10_000)].map(
      (kid): Row => [`5: kid ${JSON.stringify(kid).slice(0, 20)}`, header({ kid }), 'header'],
    ),
    ['6: kid absent', makeToken(ec, good, { alg: 'ES256', typ: 'JWT' }), 'header'],
    ...[0n, 1n, n256 - 1n, n256].flatMap((r) =>
      [0n, 1n, n256 - 1n, n256].map(
        (s): Row => [
          `7: r=${r.toString(16)} s=${s.toString(16)}`,
          withSignature(Buffer.concat([scalar(r), scalar(s)])),
          'signature',
        ],
      ),
    ),
    ['8: DER signature', withSignature(derSignature), 'signature'],
    [
      '8: signature too long',
      withSignature(Buffer.concat([Buffer.from(goodThird, 'base64url'), Buffer.alloc(1)])),
      'signature',
    ],
    ['8: signature too short', withSignature(Buffer.from(goodThird, 'base64url').subarray(1)), 'signature'],
    ['8: signature empty', `${goodFirst}.${goodSecond}.`, 'malformed'],
    ['10: padded signature', `${goodFirst}.${goodSecond}.${goodThird}==`, 'malformed'],
    ['10: leading space', ` ${makeToken(ec, good)}`, 'malformed'],
    ['10: trailing space', `${makeToken(ec, good)} `, 'malformed'],
    ['10: trailing newline', `${makeToken(ec, good)}\n`, 'malformed'],
    ['10: inner space', `${goodFirst}.${goodSecond.slice(0, 4)} ${goodSecond.slice(4)}.${goodThird}`, 'malformed'],
    ['10: unused bits in the signature', `${goodFirst}.${goodSecond}.${respell(goodThird)}`, 'malformed'],
    ['10: standard base64 alphabet', `${goodFirst}.${goodSecond}.+/${goodThird.slice(2)}`, 'malformed'],
    [
      '10: signed but padded payload',
      signText(ec, `${goodFirst}.${encode(`${jsonClaims} `.padEnd(jsonClaims.length + 4 - (jsonClaims.length % 3)))}=`),
      'malformed',
    ],
    ['11: crit with an unknown extension', header({ crit: ['x'], x: 1 }), 'header'],
    ['11: crit empty', header({ crit: [] }), 'header'],
    ['11: crit listing exp', header({ crit: ['exp'], exp: 1 }), 'header'],
    ['12: b64=false with crit', header({ b64: false, crit: ['b64'] }), 'header'],
    ['12: b64=false without crit', header({ b64: false }), 'header'],
    ['12: b64=true', header({ b64: true }), 'header'],
    ['12: detached payload', `${goodFirst}..${goodThird}`, 'malformed'],
    ['13: JWE of five parts', 'eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..aXY.Y3Q.dGFn', 'malformed'],
    ['13: zip', header({ zip: 'DEF' }), 'header'],
    ['13: cty JWT', header({ cty: 'JWT' }), 'header'],
    [
      '14: JSON serialization',
      JSON.stringify({ payload: goodSecond, protected: goodFirst, signature: goodThird }),
      'malformed',
    ],
    ['14: one part', goodFirst, 'malformed'],
    ['14: two parts', `${goodFirst}.${goodSecond}`, 'malformed'],
    ['14: four parts', `${makeToken(ec, good)}.${goodThird}`, 'malformed'],
    ['14: empty', '', 'malformed'],
    ['14: two dots alone', '..', 'malformed'],
    ...['at+jwt', 'logout+jwt', 'dpop+jwt', 'secevent+jwt', 'jwt', 'JWT ', 1, ['JWT'], null].map(
      (typ): Row => [`15: typ ${JSON.stringify(typ)}`, header({ typ }), 'header'],
    ),
    ...[
      'https://other.example',
      `${audience}/`,
      audience.toUpperCase(),
      '',
      [],
      [[audience]],
      ['x'],
      { 0: audience },
      null,
      1,
      true,
      [audience, audience],
    ].map((aud): Row => [`17: aud ${JSON.stringify(aud)}`, claims({ aud }), 'audience']),
    ['17: aud missing', without('aud'), 'audience'],
    ['18: aud with another service beside ours', claims({ aud: [audience, 'https://other.example'] }), 'audience'],
    ...[
      `${iss}/`,
      iss.replace('https', 'HTTPS'),
      iss.toUpperCase().replace('HTTPS', 'https'),
      iss.replace(/^(https:..[^/]+)/, '$1:443'),
      iss.replace('https', 'http'),
      `${iss}#`,
      `${iss}?x=1`,
      `${iss}@evil.example`,
      iss.replace('https://', 'https://user@'),
      `${iss}.evil.example`,
      `${iss}\n`,
      ` ${iss}`,
      'https://\u0456ssuer.example',
      'https://169.254.169.254',
      'http://localhost',
      [iss],
      1,
      null,
      {},
      '__proto__',
    ].map((iss): Row => [`20: iss ${JSON.stringify(iss)}`, claims({ iss }), 'issuer']),
    ['20: iss missing', without('iss'), 'issuer'],
    ...[
      '',
      ' ',
      'checkout ',
      ' checkout',
      'checkout\n',
      'check\u0000out',
      'check\u202eout',
      'caf\u00e9',
      'cafe\u0301',
      '\uff43heckout',
      '\u0441heckout',
      'x'.repeat(256),
      'x'.repeat(9_000),
      null,
      1,
      ['checkout'],
      { sub: 'checkout' },
    ].map(
      (sub): Row => [
        `28: sub ${JSON.stringify(sub).slice(0, 30)} of ${String(sub).length}`,
        claims({ sub }),
        'subject',
      ],
    ),
    ['28: sub missing', without('sub'), 'subject'],
    ['30: duplicate sub', payloadText(jsonClaims.replace('{', '{"sub":"admin",')), 'payload'],
    ['30: escaped twin of sub', payloadText(jsonClaims.replace('{', '{"s\\u0075b":"admin",')), 'payload'],
    ['30: duplicate deep in the payload', payloadText(jsonClaims.replace('{', '{"a":[{"b":1,"b":2}],')), 'payload'],
    ['30: duplicate alg', makeToken(ec, good, jsonHeader.replace('{', '{"alg":"none",')), 'header'],
    ['32: byte order mark', payloadText(`\ufeff${jsonClaims}`), 'payload'],
    [
      '32: invalid UTF-8',
      rawPayload(Buffer.from(jsonClaims.replace(subject, `${subject}\u00ff`), 'latin1')),
      'payload',
    ],
    [
      '32: overlong UTF-8',
      rawPayload(Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')])),
      'payload',
    ],
    ['32: lone surrogate', payloadText(jsonClaims.replace(subject, `${subject}\\ud800`)), 'payload'],
    ['32: literal NUL in a string', payloadText(jsonClaims.replace(subject, `${subject}\u0000`)), 'payload'],
    ['32: escaped NUL in sub', payloadText(jsonClaims.replace(subject, `${subject}\\u0000`)), 'subject'],
    ...['[]', '"x"', '1', 'null', 'true', '', `${jsonClaims}x`, `${jsonClaims}{}`, `[${jsonClaims}]`].map(
      (text): Row => [`33: payload ${text.slice(0, 10)}`, payloadText(text), text === '' ? 'malformed' : 'payload'],
    ),
    ['33: NaN', payloadText(jsonClaims.replace('{', '{"a":NaN,')), 'payload'],
    ['33: 1e400', payloadText(jsonClaims.replace('{', '{"a":1e400,')), 'payload'],
    ['33: exp 1e400', payloadText(jsonClaims.replace(/"exp":\d+/, '"exp":1e400')), 'payload'],
    ['34: exp missing', without('exp'), 'lifetime'],
    ...[String(nowSeconds + 60), null, true, [nowSeconds + 60]].map(
      (exp): Row => [`34: exp ${JSON.stringify(exp)}`, claims({ exp }), 'lifetime'],
    ),
    ...[-1, 0, nowSeconds - 61, nowSeconds - 60].map((exp): Row => [`34: exp ${exp}`, claims({ exp }), 'expired']),
    ...[nowSeconds + 600.5, 1e15, (nowSeconds + 600) * 1000, Number.MAX_SAFE_INTEGER, 2 ** 53, 1e300].map(
      (exp): Row => [`35: exp ${exp}`, claims({ exp }), 'lifetime'],
    ),
    ['36: ten years with a fresh iat', claims({ exp: nowSeconds + 315_360_000 }), 'lifetime'],
    ['36: one second more than the hour', claims({ iat: nowSeconds, exp: nowSeconds + 3_601 }), 'lifetime'],
    ['36: exp before iat', claims({ iat: nowSeconds + 30, exp: nowSeconds + 20 }), 'lifetime'],
    ['36: exp equal to iat', claims({ iat: nowSeconds, exp: nowSeconds }), 'lifetime'],
    ['37: iat missing', without('iat'), 'lifetime'],
    ['37: iat in the future', claims({ iat: nowSeconds + 61 }), 'not_yet'],
    ...[String(nowSeconds), null, 1.5].map(
      (iat): Row => [`37: iat ${JSON.stringify(iat)}`, claims({ iat }), 'lifetime'],
    ),
    ['37: nbf in the future', claims({ nbf: nowSeconds + 61 }), 'not_yet'],
    ...[String(nowSeconds), null, nowSeconds - 0.5].map(
      (nbf): Row => [`37: nbf ${JSON.stringify(nbf)}`, claims({ nbf }), 'lifetime'],
    ),
    ['39: 17 KB', claims({ pad: 'x'.repeat(17_000) }), 'too_long'],
    ['39: 10 MB', 'a'.repeat(10_000_000), 'too_long'],
    ['39: 1 MB of dots', '.'.repeat(1_000_000), 'too_long'],
    ['39: 16 KB of dots', '.'.repeat(16_384), 'malformed'],
    ['40: depth 17', payloadText(jsonClaims.replace('{', `{"a":${'['.repeat(16)}${']'.repeat(16)},`)), 'payload'],
    [
      '40: depth 5,000',
      payloadText(jsonClaims.replace('{', `{"a":${'['.repeat(5_000)}${']'.repeat(5_000)},`)),
      'payload',
    ],
    ['50: cnf presented as bearer', claims({ cnf: { jkt: 'x' } }), 'bound'],
    ['16: a logout token', claims({ events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }), 'claims'],
    ['50: cnf null', claims({ cnf: null }), 'bound'],
    ['49: jti that is no string', claims({ jti: 7 }), 'claims'],
    ['49: jti empty', claims({ jti: '' }), 'claims'],
    ['x5t that is no string', header({ x5t: 1 }), 'header'],
    ['an unknown header member', header({ nonce: 'x' }), 'header'],
    ['another key of the same type', signText(stranger, `${goodFirst}.${goodSecond}`), 'signature'],
    [
      'another payload under the signature',
      `${goodFirst}.${encode({ ...good, sub: 'admin' })}.${goodThird}`,
      'signature',
    ],
  ];
}
