import { type DevIssuer, devSubject, publicJwk } from '../dev-folder.ts';

/** What the demonstration hands out, and the name under which the local store keeps it. */
export const demo = {
  credential: 'demo-secret',
  store: 'local',
  name: 'demo',
  /** Stored on the first start; a secret that is none. */
  value: 'example-value-that-is-not-a-secret',
  /** A credential that is a token, and the URI by which a token exchange may ask for it too. */
  token: 'demo-token',
  resource: 'https://api.example.com',
} as const;

/** The config of `hallpass dev`, written into its folder so that every other command can be tried on it. */
export function devConfig(url: string, issuer: DevIssuer): string {
  return `# Written anew by each start of \`hallpass dev\`: copy it to change it.
broker:
  url: ${url}
  signer: { kind: local, path: ./keys }
ledger:
  kind: sqlite
  path: ./ledger.db
  origin: localhost/hallpass-dev # the same on every port
issuers:
  dev:
    issuer: ${issuer.iss}
    jwks: ${JSON.stringify({ keys: [publicJwk(issuer)] })}
stores:
  ${demo.store}: { kind: local, path: ./secrets }
credentials:
  ${demo.credential}: { kind: secret, store: ${demo.store}, name: ${demo.name} }
  ${demo.token}: { kind: jwt, audience: ${demo.resource}, resource: ${demo.resource}, ttl: 5m }
roles:
  demo: [${demo.credential}, ${demo.token}]
  auditor: { audit: [read, trace] }
  operator: { leases: revoke, lockdown: write }
grants:
  - name: developer-gets-the-demo
    identity: { issuer: dev, subject: ${devSubject} }
    may: [demo]
    ttl: 15m
  - name: developer-reads-the-ledger
    identity: { issuer: dev, subject: ${devSubject} }
    may: [auditor]
  - name: developer-operates
    identity: { issuer: dev, subject: ${devSubject} }
    may: [operator]
`;
}
