// The caller of a trial run: an issuer of its own on loopback, and one issuance by a token of it.
import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

const given = { identity: { issuer: 'trial', subject: 'a' }, may: ['checkout'], ttl: '10m' };
const askMs = 10_000;
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/**
 * @returns what a config has to say for it, `ask(line)`, which asks the server that wrote this line for `partner` and gives the status,
 * and `close()`
 */
export async function newCaller() {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'trial', alg: 'RS256' }] });
  const server = createServer(({ url }, outgoing) => {
    const document = JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` });
    outgoing.writeHead(200, { 'content-type': 'application/json' }).end(url === '/keys' ? jwks : document);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${server.address().port}`;
  return {
    issuers: { trial: { issuer } },
    // The first takes what a condition that is not plain needs along, and matches nobody.
    grants: [
      { name: 'rare', ...given, when: 'size(claims.groups) == 1' },
      { name: 'trial', ...given },
    ],
    async ask(line) {
      const { url } = JSON.parse(line);
      const now = Math.floor(Date.now() / 1000);
      const claims = { iss: issuer, aud: 'https://pass.example.com', sub: 'a', iat: now, nbf: now, exp: now + 300 };
      const input = `${encode({ alg: 'RS256', kid: 'trial', typ: 'JWT' })}.${encode(claims)}`;
      const token = `${input}.${sign('sha256', Buffer.from(input), privateKey).toString('base64url')}`;
      const { status } = await fetch(`${url}/v1/credentials/partner`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: '{}',
        signal: AbortSignal.timeout(askMs),
      });
      return status;
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
