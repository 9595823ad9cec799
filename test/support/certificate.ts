import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

export const der = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts);
  const [high, low] = [body.length >> 8, body.length & 0xff];
  const size = body.length < 128 ? [low] : body.length < 256 ? [0x81, low] : [0x82, high, low];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
};
export const sequence = (...parts: readonly Uint8Array[]) => der(0x30, ...parts);
export const hex = (text: string) => Buffer.from(text, 'hex');
export const utcTime = (at: number) =>
  der(0x17, Buffer.from(`${new Date(at).toISOString().slice(2, 19).replace(/[-T:]/g, '')}Z`));

const ecdsaWithSha256 = sequence(hex('06082a8648ce3d040302'));
export const commonName = (name: string) =>
  sequence(der(0x31, sequence(hex('0603550403'), der(0x0c, Buffer.from(name)))));
/** subjectAltName: IP 127.0.0.1, DNS localhost. */
const names = sequence(
  hex('0603551d11'),
  der(0x04, sequence(der(0x87, hex('7f000001')), der(0x82, Buffer.from('localhost')))),
);

/** A certificate of this moment for 127.0.0.1 and localhost that vouches for itself (PEM), and its key. */
export function makeCertificate(name = 'test'): { readonly cert: string; readonly key: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const hour = 3_600_000;
  const tbs = sequence(
    hex('a003020102'),
    der(0x02, Buffer.concat([hex('01'), randomBytes(8)])),
    ecdsaWithSha256,
    commonName(name),
    sequence(utcTime(Date.now() - hour), utcTime(Date.now() + 24 * hour)),
    commonName(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(names)),
  );
  const signature = der(0x03, hex('00'), sign('sha256', tbs, privateKey));
  const base64 = sequence(tbs, ecdsaWithSha256, signature).toString('base64').replace(/.{64}/g, '$&\n');
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  };
}
