import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { expect, it } from 'vitest';
import { noteSigner, noteVerifier } from '../../../src/ledger/tree/note.ts';

it('has a signer be the Ed25519 key of its seed', () => {
  // RFC 8032 section 7.1, TEST 1 and 2.
  for (const [seed, publicKey] of [
    [
      '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    ],
    [
      '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    ],
  ] as const) {
    const signer = noteSigner('example', Buffer.from(seed, 'hex'));
    const key = Buffer.from(signer.vkey.split('+').slice(2).join('+'), 'base64');
    expect(key.subarray(1).toString('hex')).toBe(publicKey);
    expect(noteVerifier(signer.vkey).open(signer.sign('text\n'))).toBe('text\n');
  }
});

it('signs as node:crypto does with the same key in DER', () => {
  for (let at = 0; at < 64; at++) {
    const seed = Buffer.alloc(32, at);
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const { x } = createPublicKey(key).export({ format: 'jwk' });
    const signer = noteSigner('example', seed);
    const vkey = Buffer.from(signer.vkey.split('+').slice(2).join('+'), 'base64');
    expect(vkey.subarray(1).toString('base64url')).toBe(x);
    const signature = Buffer.from(signer.sign('a\n').split(' ')[2] as string, 'base64').subarray(4);
    expect(signature).toEqual(sign(null, Buffer.from('a\n'), key));
  }
});
