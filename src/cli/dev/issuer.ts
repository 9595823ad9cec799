import { type DevIssuer, publicJwk } from '../dev-folder.ts';

const headers = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

/** Answers discovery and JWKS of the embedded issuer under `/dev`; undefined for every other path. */
export function serveIssuer(issuer: DevIssuer): (request: Request) => Response | undefined {
  const documents = new Map<string, object>([
    [
      '/dev/.well-known/openid-configuration',
      {
        issuer: issuer.iss,
        jwks_uri: `${issuer.iss}/.well-known/jwks.json`,
        id_token_signing_alg_values_supported: ['ES256'],
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
      },
    ],
    ['/dev/.well-known/jwks.json', { keys: [publicJwk(issuer)] }],
  ]);
  return (request) => {
    const document = request.method === 'GET' ? documents.get(new URL(request.url).pathname) : undefined;
    return document === undefined ? undefined : Response.json(document, { headers });
  };
}
