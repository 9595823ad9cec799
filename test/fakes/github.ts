import { createPublicKey, type KeyObject, randomBytes, verify } from 'node:crypto';
import { isJsonObject, type JsonObject, parseStrictJsonObject } from '../../src/lib/strict-json.ts';
import { takeRsaPair } from '../support/rsa.ts';
import { type FakeAnswer, type FakeCall, type FakeServer, startFake } from './server.ts';

export interface FakeInstallation {
  readonly owner: string;
  /** Names, by id. */
  readonly repositories: Map<number, string>;
  readonly permissions: Readonly<Record<string, string>>;
}

interface Granted {
  readonly permissions: JsonObject;
  readonly repositories: readonly string[];
  until: number;
}

export interface FakeGithub {
  /** With the path that an Enterprise Server has, where one was asked for. */
  readonly api: string;
  readonly server: FakeServer;
  readonly calls: FakeServer['calls'];
  readonly app: { readonly id: string; readonly client: string };
  /** Of the App, PKCS#1 as GitHub hands it out. */
  readonly privateKey: string;
  /** What GitHub knows of the App's keys; a key that is removed there proves nothing. */
  key: KeyObject;
  readonly installations: Map<string, FakeInstallation>;
  /** Claims of the App's proofs so far. */
  readonly proofs: JsonObject[];
  /** By token; one that was revoked is gone. */
  readonly tokens: Map<string, Granted>;
  /** What the next tokens look like. */
  newToken: () => string;
  /** Has the last word on the answer with a token. */
  change: (answer: JsonObject) => JsonObject;
  now: () => number;
  close(): Promise<void>;
}

const json = (status: number, body: unknown): FakeAnswer => ({
  status,
  headers: { 'content-type': 'application/json; charset=utf-8' },
  body: JSON.stringify(body),
});
const refuse = (status: number, message: string) => json(status, { message, status: String(status) });

const levels = ['read', 'write', 'admin'];

// One for all: making it takes longer than most tests.
const pair = takeRsaPair();

/** GitHub's App API in memory, as its documentation says: the App's proof is verified for real, and what it asks for. */
export async function startGithub({ prefix = '' } = {}): Promise<FakeGithub> {
  /** Why a proof is not taken: RS256 by the App's key, `iat` not ahead, `exp` at most 10 minutes ahead. */
  function proofFault(jwt: string): string | undefined {
    const [head = '', payload = '', signature = ''] = jwt.split('.');
    try {
      const { alg, typ } = parseStrictJsonObject(Buffer.from(head, 'base64url'));
      const claims = parseStrictJsonObject(Buffer.from(payload, 'base64url'));
      const signed = Buffer.from(`${head}.${payload}`);
      const good = verify('sha256', signed, github.key, Buffer.from(signature, 'base64url'));
      if (alg !== 'RS256' || typ !== 'JWT' || !good) return 'A JSON web token could not be decoded';
      const { iss, iat, exp } = claims;
      const now = github.now() / 1000;
      if (iss !== github.app.id && iss !== github.app.client) return "'Issuer' claim ('iss') must be the App";
      if (!Number.isSafeInteger(iat) || Number(iat) > now) return "'Issued at' claim ('iat') is in the future";
      if (!Number.isSafeInteger(exp) || Number(exp) <= now) return "'Expiration time' claim ('exp') is in the past";
      if (Number(exp) > now + 600) return "'Expiration time' claim ('exp') is too far in the future";
      github.proofs.push(claims);
      return undefined;
    } catch {
      return 'A JSON web token could not be decoded';
    }
  }

  function give(installation: FakeInstallation, body: JsonObject): FakeAnswer {
    const { repositories: names, repository_ids: ids, permissions = installation.permissions, ...more } = body;
    if (Object.keys(more).length > 0 || !isJsonObject(permissions)) return refuse(422, 'Invalid request.');
    for (const [name, level] of Object.entries(permissions)) {
      const most = levels.indexOf(installation.permissions[name] ?? '');
      if (levels.indexOf(String(level)) < 0 || levels.indexOf(String(level)) > most)
        return refuse(422, 'The permissions requested are not granted to this installation.');
    }
    const all = [...installation.repositories];
    const wanted = [names, ids].flat().filter((one) => one !== undefined);
    const chosen = all.filter(([id, name]) =>
      wanted.some((one) => one === id || String(one).toLowerCase() === name.toLowerCase()),
    );
    if (chosen.length !== wanted.length) return refuse(422, 'There is at least one repository that does not exist.');
    // Nothing asked for is everything.
    const given = wanted.length === 0 ? all : chosen;
    const full = given.map(([id, name]) => ({ id, name, full_name: `${installation.owner}/${name}`, private: true }));
    const token = github.newToken();
    const until = github.now() + 3_600_000;
    const granted = { ...permissions, metadata: 'read' };
    github.tokens.set(token, { permissions: granted, repositories: full.map((one) => one.full_name), until });
    const expires_at = `${new Date(until).toISOString().slice(0, 19)}Z`;
    const narrowed: JsonObject = wanted.length === 0 ? {} : { repositories: full };
    return json(
      201,
      github.change({ token, expires_at, permissions: granted, repository_selection: 'selected', ...narrowed }),
    );
  }

  function answer({ method, url, headers, body }: FakeCall): FakeAnswer {
    if (!url.pathname.startsWith(`${prefix}/`)) return refuse(404, 'Not Found');
    const path = url.pathname.slice(prefix.length);
    if (headers['user-agent'] !== 'hallpass') return refuse(403, 'Request forbidden by administrative rules.');
    if (headers.accept !== 'application/vnd.github+json') return refuse(415, 'Must accept JSON');
    if (headers['x-github-api-version'] !== '2022-11-28') return refuse(400, 'Unsupported version');
    const bearer = /^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1] ?? '';
    const [, id] = /^\/app\/installations\/(\d+)\/access_tokens$/.exec(path) ?? [];
    if (id !== undefined && method === 'POST') {
      const fault = proofFault(bearer);
      if (fault !== undefined) return refuse(401, fault);
      const installation = github.installations.get(id);
      if (headers['content-type'] !== 'application/json') return refuse(400, 'Problems parsing JSON');
      return installation === undefined ? refuse(404, 'Not Found') : give(installation, parseStrictJsonObject(body));
    }
    const granted = github.tokens.get(bearer);
    if (granted === undefined || granted.until <= github.now()) return refuse(401, 'Bad credentials');
    if (path === '/installation/repositories') return json(200, { repositories: granted.repositories });
    if (path !== '/installation/token' || method !== 'DELETE') return refuse(404, 'Not Found');
    github.tokens.delete(bearer);
    return { status: 204 };
  }

  const server = await startFake(answer);
  const github: FakeGithub = {
    api: `${server.url}${prefix}`,
    server,
    calls: server.calls,
    app: { id: '12345', client: 'Iv23testclient' },
    privateKey: pair.privateKey.export({ type: 'pkcs1', format: 'pem' }) as string,
    key: createPublicKey(pair.privateKey),
    installations: new Map(),
    proofs: [],
    tokens: new Map(),
    newToken: () => `ghs_${randomBytes(18).toString('hex')}`,
    change: (given) => given,
    now: Date.now,
    close: () => server.close(),
  };
  return github;
}
