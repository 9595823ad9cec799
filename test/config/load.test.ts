// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the language under test
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ConfigError, checkConfig, formatProblem, loadConfig } from '../../src/config/load.ts';
import type { Runtime } from '../../src/lib/platform.ts';

const base = `
broker:
  url: https://pass.example.com
  signer: { kind: local, path: ./keys }
ledger: { kind: sqlite, path: ./ledger.db }
issuers:
  ci: { issuer: https://ci.example }
stores:
  main: { kind: local, path: ./secrets }
credentials:
  stripe: { kind: secret, store: main, name: stripe }
roles:
  deploy: [stripe]
grants:
  - name: deploys
    identity: { issuer: ci, subject: deployer }
    may: [deploy]
    ttl: 10m
`;

interface Options {
  runtime?: Runtime;
  env?: Record<string, string>;
  folder?: string | undefined;
}

const optionsOf = ({ runtime = 'node', env = {}, ...rest }: Options = {}) => {
  const folder = 'folder' in rest ? rest.folder : '/srv/hallpass';
  return { file: 'h.yaml', runtime, env, ...(folder === undefined ? {} : { folder }) };
};

const load = (text: string, options?: Options) => loadConfig(text, optionsOf(options));

/** Every problem as its line, or none. */
const problemsOf = (text: string, options?: Options) =>
  load(text, options).then(
    () => [],
    (error) => {
      if (!(error instanceof ConfigError)) throw error;
      return error.problems.map(formatProblem);
    },
  );

/** The base with one text replaced; the text must be there. */
function changed(from: string, to: string): string {
  expect(base).toContain(from);
  return base.replace(from, () => to);
}

describe('a lockdown of a store', () => {
  it('stops what is read from a store that is opened with a key in it, however many lie between', async () => {
    const text = changed(
      'main: { kind: local, path: ./secrets }',
      `hub: { kind: local, path: ./hub }
  between: { kind: local, path: ./between, key: { store: hub, name: key } }
  main: { kind: local, path: ./secrets, key: { store: between, name: key } }
  apart: { kind: local, path: ./apart }`,
    );
    const { config } = await load(text);
    const identity = {
      ...{ issuer: 'ci', iss: 'https://ci.example', subject: 'deployer', name: 'ci:deployer' },
      ...{ claims: { sub: 'deployer' }, members: {}, disclosed: {} },
    };
    const decided = (match: object) => config.policy.decide(identity, 'stripe', [{ id: '', epoch: 1, match }], 0).allow;
    expect(decided({ store: 'apart' })).toBe(true);
    for (const store of ['main', 'between', 'hub']) expect(decided({ store }), store).toBe(false);
    const about = { issuer: 'ci', name: 'ci:deployer', grant: 'deploys', credential: 'stripe', store: 'main' };
    expect(config.policy.covers({ store: 'hub' }, about)).toBe(true);
  });
});

describe('loadConfig', () => {
  it('gives a typed config with its defaults filled in', async () => {
    const { config, warnings } = await load(base);
    expect(warnings).toEqual([]);
    expect(config.broker).toEqual({
      url: 'https://pass.example.com',
      audience: 'https://pass.example.com',
      signer: [{ kind: 'local', path: './keys' }],
      announceMs: 600_000,
      explain: 'names',
    });
    expect(config.ledger).toMatchObject({ kind: 'sqlite', origin: 'pass.example.com/ledger', public: false });
    expect(config.limits).toEqual({
      tokenBytes: 16_384,
      bodyBytes: 16_384,
      openRequests: 1000,
      requestMs: 15_000,
      jwksMs: 2000,
      storeMs: 5000,
      mintMs: 10_000,
      ledgerMs: 2000,
      undoMs: 2000,
    });
    expect(Object.keys(config.stores)).toEqual(['main']);
    expect(config.policy.grants).toBe(1);
  });

  it('hashes policy as configured: variables filled in, defaults not', async () => {
    const text = changed('name: stripe }', 'name: "${NAME}" }');
    const { config } = await load(text, { env: { NAME: 'stripe' } });
    expect(config.policyInput).toEqual({
      issuers: { ci: { issuer: 'https://ci.example' } },
      credentials: { stripe: { kind: 'secret', store: 'main', name: 'stripe' } },
      roles: { deploy: ['stripe'] },
      grants: [{ name: 'deploys', identity: { issuer: 'ci', subject: 'deployer' }, may: ['deploy'], ttl: '10m' }],
    });
    expect(config.policy.hash).toBe((await load(base)).config.policy.hash);
  });

  it('takes the ledger origin from host, port and path of broker.url, or as it is written', async () => {
    const origin = async (text: string) => (await load(text)).config.ledger.origin;
    expect(await origin(changed('pass.example.com', 'pass.example.com:8443/a/b'))).toBe(
      'pass.example.com:8443/a/b/ledger',
    );
    expect(await origin(changed('./ledger.db', './ledger.db, origin: log.example/1'))).toBe('log.example/1');
    expect(await problemsOf(changed('./ledger.db', './ledger.db, origin: "a b"'))).toHaveLength(1);
  });

  it('gives the same config from JSON, and points into JSON as well', async () => {
    const { parse } = await import('yaml');
    const json = JSON.stringify(parse(base), null, 2);
    expect((await load(json)).config.policyInput).toEqual((await load(base)).config.policyInput);
    const wrong = json.replace('"ttl": "10m"', '"tll": "10m"');
    const line = wrong.split('\n').findIndex((text) => text.includes('"tll"')) + 1;
    expect(await problemsOf(wrong)).toContain(`h.yaml:${line}:7: unknown member "tll" (did you mean ttl?)`);
  });

  it('checks an object without positions', async () => {
    const { parse } = await import('yaml');
    expect((await checkConfig(parse(base), optionsOf())).config.broker.url).toBe('https://pass.example.com');
    const error = await checkConfig(parse(changed('[stripe]', '[strip]')), optionsOf()).catch((e) => e);
    expect(error.problems.map(formatProblem)).toEqual([
      'h.yaml: roles.deploy.0: unknown credential strip (did you mean stripe?)',
    ]);
  });

  it('tells every problem of a bad config, each at its place, in the order of the file', async () => {
    const text = `brokr: {}
broker:
  url: https://pass.example.com/
  audience: https://sts.amazonaws.com
  signer: { kind: locl, path: ./keys }
  secret: plain-text
  explain: value
ledger: { kind: sqlite, pth: ./ledger.db }
issuers:
  self: { issuer: https://ci.example }
  ci: { preset: github-action, organization: { id: "9919" } }
  shop: { preset: kubernetes, issuer: http://k8s.example, lifetme: 1h }
stores:
  main: { kind: local, path: 5 }
  loop: { kind: local, path: ./l, key: { store: loop, name: k } }
  bad name: { kind: env }
credentials:
  stripe: { kind: secret, store: mian, name: stripe }
  partner: { kind: jwt, audience: https://pass.example.com, ttl: 15 }
  cloud: { kind: jwt, audience: api://AzureADTokenExchange }
  empty:
roles:
  deploy: [strip]
  stripe: [partner]
grants:
  - name: deploys
    identity: { issuer: cii, subject: x }
    may: [deplyo]
    ttl: 10
  - name: deploys
    identity: { issuer: shop, namespce: shop }
    may: [deploy]
    max: 3
limits: { request: 1h, bodyBites: 3 }
alarms: {}
`;
    const problems = await problemsOf(text);
    expect(problems).toMatchInlineSnapshot(`
      [
        "h.yaml:1:1: unknown member "brokr" (did you mean broker?)",
        "h.yaml:3:8: broker.url ends without a slash",
        "h.yaml:4:13: this audience belongs to another service, whose tokens would then work here (workloads ask for a token that is for this broker alone)",
        "h.yaml:5:19: there is no kind "locl" here (did you mean local?)",
        "h.yaml:6:11: expected a mapping or a list, got a text (a secret is referred to with { store, name })",
        "h.yaml:7:12: expected names, values or off (did you mean values?)",
        "h.yaml:8:1: path is missing",
        "h.yaml:8:25: unknown member "pth" (did you mean path?)",
        "h.yaml:10:3: self stands for Hallpass itself (choose another name)",
        "h.yaml:11:17: there is no preset "github-action" (did you mean github-actions?)",
        "h.yaml:12:39: http is for loopback only; use https",
        "h.yaml:12:59: unknown member "lifetme" (did you mean lifetime?)",
        "h.yaml:14:30: expected a text, got a number",
        "h.yaml:15:3: the store loop needs a secret that it keeps itself",
        "h.yaml:16:3: a name has 1 to 128 letters, digits, ".", "_" or "-" and begins with a letter or digit",
        "h.yaml:18:34: there is no store "mian" (did you mean main?)",
        "h.yaml:19:35: a jwt for this broker could be used as Hallpass itself (name the service that checks this token)",
        "h.yaml:19:66: expected a duration such as 15m, got a number",
        "h.yaml:20:33: a jwt for a cloud's or a store's token service could be used as Hallpass itself (name the service that checks this token)",
        "h.yaml:21:9: expected a mapping with kind, got nothing (kinds: secret, jwt, postgres, mysql, redis, aws-role, aws-rds-iam, google-token, azure-token, kubernetes-token, github-token, vault, x509, ssh)",
        "h.yaml:23:12: unknown credential strip (did you mean stripe?)",
        "h.yaml:24:3: stripe is a credential too (rename one: grants name both alike)",
        "h.yaml:27:25: unknown issuer cii (did you mean ci?)",
        "h.yaml:28:11: unknown credential or role deplyo (did you mean deploy?)",
        "h.yaml:29:10: expected a duration such as 15m, got a number",
        "h.yaml:30:5: the grant gives credentials, so it needs ttl (such as ttl: 15m)",
        "h.yaml:30:11: a second grant named deploys",
        "h.yaml:31:41: unknown member namespce for kubernetes (did you mean namespace?)",
        "h.yaml:34:20: expected a duration from 1 to 120 seconds",
        "h.yaml:34:24: unknown member "bodyBites" (did you mean bodyBytes?)",
        "h.yaml:35:1: unknown member "alarms" (known: broker, ledger, issuers, stores, credentials, roles, grants, sinks, limits)",
      ]
    `);
  });

  it('tells all that is wrong in one grant, a mistyped issuer among it', async () => {
    const [head] = base.split('grants:') as [string];
    const gh = head.replace('stores:', '  gh: { preset: github-actions, organization: { id: "9919" } }\nstores:');
    const problems = await problemsOf(`${gh}grants:
  - name: releases
    identity: { isuer: gh, repository_id: 1296269 }
    when: claims.x ==
    may: [relese]
`);
    expect(problems).toMatchInlineSnapshot(`
      [
        "h.yaml:16:5: the grant gives credentials, so it needs ttl (such as ttl: 15m)",
        "h.yaml:17:17: unknown member "isuer" (did you mean issuer?)",
        "h.yaml:17:43: repository_id must be a string; write it in quotes",
        "h.yaml:18:11: when: CEL error: Unexpected token: EOF (at character 12)",
        "h.yaml:19:11: unknown credential or role relese",
      ]
    `);
  });

  it.each([
    ['ledger', /^h.yaml:2:1: ledger is missing \(no record, no secret/],
    ['broker', /^h.yaml:\d+:1: broker is missing/],
  ])('does not start without %s', async (section, message) => {
    const text = base.replace(new RegExp(`\\n${section}:.*(\\n .*)*`), '');
    expect((await problemsOf(text))[0]).toMatch(message);
  });

  it.each([
    ['alarms: {}', 'alarms'],
    ['ledger: { kind: sqlite, path: ./l, shards: 2 }', 'shards'],
  ])('refuses what it does not know yet: %s', async (line, name) => {
    const section = line.split(':')[0] as string;
    const text = base.replace(new RegExp(`\\n${section}:.*(\\n .*)*`), '');
    expect((await problemsOf(`${text}${line}\n`)).join('\n')).toContain(`unknown member "${name}"`);
  });
});

describe('problems', () => {
  it('are one plain line each, whatever a name holds', async () => {
    const text = changed('store: main, name: stripe', 'store: "a\\nh.yaml:1:1: fake\\e[31m\\u202e", name: stripe');
    const [problem] = await problemsOf(text);
    expect(problem).toContain('there is no store "a\\nh.yaml:1:1: fake\\u001b[31m\\u{202e}"');
  });

  it('are short, however long a name is', async () => {
    const names = await problemsOf(changed('grants:', `${'z'.repeat(900)}: 1\ngrants:`));
    expect(names[0]?.length).toBeLessThan(600);
  });
});

describe('what cannot run here', () => {
  it('says where a store or ledger runs instead', async () => {
    const problems = await problemsOf(base, { runtime: 'workerd', folder: undefined });
    expect(problems).toContainEqual(expect.stringMatching(/^h.yaml:5:\d+: sqlite runs on .*, not on workerd$/));
    expect(problems).toContainEqual(expect.stringMatching(/^h.yaml:9:\d+: local runs on .*, not on workerd$/));
    expect(problems).toContainEqual(expect.stringMatching(/^h.yaml:4:\d+: keys in a folder work on node and lambda/));
  });

  it('says on Node how to check a config that is for another runtime', async () => {
    const text = changed('kind: sqlite, path: ./ledger.db', 'kind: durable-object, binding: LEDGER');
    expect(await problemsOf(text)).toEqual([
      'h.yaml:5:17: durable-object runs on workerd, not on node (is the config for it? hallpass config check FILE --runtime workerd)',
    ]);
  });

  it('refuses a relative path where there is no folder that it counts from, and takes an absolute one', async () => {
    const problems = await problemsOf(base, { folder: undefined });
    expect(problems.filter((line) => line.includes('a relative path'))).toHaveLength(3);
    expect(await problemsOf(base.replaceAll('./', '/srv/'), { folder: undefined })).toEqual([]);
  });

  it('lets a signer without path or key live in a durable-object ledger only', async () => {
    const text = changed('{ kind: local, path: ./keys }', '{ kind: local }');
    expect((await problemsOf(text)).join()).toContain('lives in a durable-object ledger');
    const worker = text
      .replace('{ kind: sqlite, path: ./ledger.db }', '{ kind: durable-object }')
      .replace('{ kind: local, path: ./secrets }', '{ kind: env }');
    expect(await problemsOf(worker, { runtime: 'workerd', folder: undefined })).toEqual([]);
  });
});

describe('references', () => {
  it('names the store that was probably meant, wherever the reference is', async () => {
    const text = changed('./secrets }', './secrets, key: { store: mein, name: k } }').replace(
      'signer:',
      'secret: { store: manin, name: x }\n  signer:',
    );
    const problems = await problemsOf(text);
    expect(problems).toContain('h.yaml:4:20: there is no store "manin" (did you mean main?)');
    expect(problems.join()).toContain('there is no store "mein" (did you mean main?)');
  });

  it('refuses stores that need each other to open', async () => {
    const text = changed(
      '  main: { kind: local, path: ./secrets }',
      '  main: { kind: local, path: ./a, key: { store: b, name: k } }\n  b: { kind: local, path: ./b, key: { store: main, name: k } }',
    );
    expect((await problemsOf(text)).filter((line) => line.includes('keeps itself'))).toHaveLength(2);
  });

  it('refuses a value where only a reference belongs', async () => {
    expect((await problemsOf(changed('signer:', 'secret: aGVsbG8\n  signer:'))).join()).toMatch(
      /h.yaml:4:11: expected a mapping/,
    );
  });

  it('takes a seed for a ledger that is here, by reference only', async () => {
    const seeded = (seed: string) => changed('./ledger.db }', `./ledger.db, seed: ${seed} }`);
    expect(await problemsOf(seeded('{ store: main, name: seed }'))).toEqual([]);
    expect((await problemsOf(seeded('{ store: mian, name: seed }'))).join()).toContain('did you mean main?');
    expect(await problemsOf(seeded('MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE'))).toHaveLength(1);
  });

  it('takes a list of secrets, the newest first', async () => {
    const { config } = await load(
      changed('signer:', 'secret: [{ store: main, name: b }, { store: main, name: a }]\n  signer:'),
    );
    expect(config.broker.secret).toEqual([
      { store: 'main', name: 'b' },
      { store: 'main', name: 'a' },
    ]);
  });
});

describe('audiences', () => {
  const withJwt = (audience: string) =>
    changed('grants:', 'grants:').replace(
      'credentials:',
      `credentials:\n  token: { kind: jwt, audience: "${audience}" }`,
    );

  it.each([
    ['https://pass.example.com', 'this broker'],
    ['https://pass.example.com/workloads', 'this broker'],
    ['sts.amazonaws.com', 'token service'],
    ['https://sts.eu-west-1.amazonaws.com', 'token service'],
    ['sts.googleapis.com', 'token service'],
    ['//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/h', 'token service'],
    ['api://AzureADTokenExchange', 'token service'],
    ['https://login.microsoftonline.com/common/v2.0', 'token service'],
    ['https://myvault.vault.azure.net', 'token service'],
    ['https://kubernetes.default.svc', 'token service'],
    ['vault', 'token service'],
  ])('signs no jwt for %s', async (audience, whose) => {
    expect((await problemsOf(withJwt(audience))).join()).toContain(whose);
  });

  it('signs a jwt for a partner', async () => {
    expect(await problemsOf(withJwt('https://api.partner.example'))).toEqual([]);
  });

  it.each(['https://sts.amazonaws.com', 'sts.googleapis.com', 'api://AzureADTokenExchange'])(
    'accepts no token that is for %s',
    async (audience) => {
      expect(await problemsOf(changed('signer:', `audience: ${audience}\n  signer:`))).toHaveLength(1);
      expect(
        await problemsOf(changed('https://ci.example }', `https://ci.example, audience: "${audience}" }`)),
      ).toHaveLength(1);
    },
  );
});

describe('broker.url', () => {
  it.each([
    ['http://pass.example.com', 'http is for loopback only'],
    ['https://pass.example.com/', 'ends without a slash'],
    ['https://user@pass.example.com', 'no user or password'],
    ['https://pass.example.com?x', 'no query or fragment'],
    ['https://PASS.example.com', 'normal form'],
    ['pass.example.com', 'not a URL'],
  ])('refuses %s', async (url, message) => {
    expect((await problemsOf(changed('https://pass.example.com', url))).join()).toContain(message);
  });

  it('warns of http on loopback', async () => {
    const { warnings } = await load(changed('https://pass.example.com', 'http://127.0.0.1:8787'));
    expect(warnings.map(formatProblem)).toEqual([
      'h.yaml:3:8: http is for trying things out on this machine (others reach a broker by https)',
    ]);
  });
});

describe('a ledger elsewhere', () => {
  const { publicKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);

  it('tells of an unset variable alone, and not of what is wrong without it', async () => {
    const text = changed(
      'ledger: { kind: sqlite, path: ./ledger.db }',
      'ledger: { kind: http, url: "${LEDGER_URL}", key: "${LEDGER_KEY}" }',
    );
    expect(await problemsOf(text)).toEqual([
      'h.yaml:5:28: the variable LEDGER_URL is not set',
      'h.yaml:5:50: the variable LEDGER_KEY is not set',
    ]);
  });

  it('gives no writer that comes over HTTP its own name', async () => {
    const roles = (url: string) => changed('roles:', `roles:\n  edge: { ledger: append, writer: "${url}" }`);
    const own = await problemsOf(roles('https://pass.example.com'));
    expect(own.join()).toContain('would write in this ledger’s own name (name the broker.url of that broker)');
    expect((await problemsOf(roles('https://edge.example.com'))).join()).not.toContain('own name');
  });

  it('takes its origin from the pinned key, and is given no seed', async () => {
    const { createHash } = await import('node:crypto');
    const name = 'ledger.example.com/ledger';
    const hash = createHash('sha256').update(`${name}\n\x01`).update(raw).digest('hex').slice(0, 8);
    const key = `${name}+${hash}+${Buffer.concat([Buffer.of(1), raw]).toString('base64')}`;
    const text = changed(
      '{ kind: sqlite, path: ./ledger.db }',
      `{ kind: http, url: https://ledger.example.com, key: "${key}" }`,
    );
    expect((await load(text)).config.ledger.origin).toBe(name);
    const seeded = text.replace('kind: http,', 'kind: http, seed: { store: main, name: seed },');
    expect((await problemsOf(seeded)).join()).toContain('a seed is never given to http brokers');
    const own = text.replace('https://pass.example.com', 'https://ledger.example.com');
    expect((await problemsOf(own)).join()).toContain('the ledger is this broker itself');
  });
});

describe('secrets in a config', () => {
  const pem = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = privateKey.export({ format: 'jwk' });
  const body = 'A1b2C3d4E5f6G7h8J9k0'.repeat(2);

  it.each([
    ['a PEM key for a signer', changed('path: ./keys', `key: ${JSON.stringify(pem)}`), pem],
    ['a JWK for a signer', changed('path: ./keys', `key: ${JSON.stringify(jwk)}`), jwk.d as string],
    [
      'a private JWK for an issuer',
      changed('https://ci.example', `https://ci.example, jwks: { keys: [${JSON.stringify(jwk)}] }`),
      jwk.d as string,
    ],
    ['a token as a name', changed('[stripe]', `[ghp_${body}]`), `ghp_${body}`],
    ['a token as a member', changed('name: deploys', `sk_live_${body}: deploys`), `sk_live_${body}`],
    ['a token as a kind', changed('kind: secret', `kind: xoxb-${body}`), `xoxb-${body}`],
    ['a password in a URL', changed('https://ci.example', `https://ci:${body}@ci.example`), body],
  ])('refuses %s and repeats nothing of it', async (_, text, secret) => {
    const problems = await problemsOf(text);
    expect(problems.join('\n')).toContain('has no place in a config');
    expect(problems.join('\n')).not.toContain(secret.slice(0, 24).trim());
  });

  it('finds a secret that came through a variable, and shows no variable', async () => {
    const token = `ghp_${body}`;
    const problems = await problemsOf(changed('[stripe]', '["${CI_TOKEN}"]'), { env: { CI_TOKEN: token } });
    expect(problems.join('\n')).toContain('a GitHub token has no place in a config');
    expect(problems.join('\n')).not.toContain(token);
    const quiet = await problemsOf(changed('[stripe]', '["${PASSWORD}"]'), {
      env: { PASSWORD: 'correct-horse-battery' },
    });
    expect(quiet.join('\n')).toMatch(/unknown credential \$\{PASSWORD\}/);
  });

  it.each([
    ['is JSON', '{"username":"orders","password":"correct-horse"}'],
    ['has a backslash', 'correct\\horse\\battery'],
    ['has a line of its own', 'correct\nhorse\nbattery'],
  ])('shows no variable whose value %s, where the message has it in quotes', async (_, value) => {
    const problems = (await problemsOf(changed('kind: secret', 'kind: "${VALUE}"'), { env: { VALUE: value } })).join(
      '\n',
    );
    expect(problems).toContain('there is no kind "${VALUE}"');
    expect(problems).not.toMatch(/correct|horse|battery/);
  });

  it('shows nothing of a variable that begins as another does', async () => {
    const env = { SHORT: 'correct-horse', LONG: 'correct-horse-battery' };
    const problems = await problemsOf(changed('[stripe]', '["${SHORT}", "${LONG}"]'), { env });
    expect(problems.join('\n')).toContain('unknown credential ${LONG}');
    expect(problems.join('\n')).not.toContain('battery');
  });

  it('tells a key without a number as plainly as one with it', async () => {
    const problems = await problemsOf(changed('[stripe]', '[{ kty: EC, d: "" }]'));
    expect(problems.join('\n')).toContain('a private or symmetric JWK has no place in a config (keep it');
  });

  it('repeats no secret that is a name in a config without positions', async () => {
    const error = await checkConfig({ [`ghp_${body}`]: 1 }, optionsOf()).catch((e) => e);
    expect(error.message).toContain('has no place in a config');
    expect(error.message).not.toContain(body);
  });

  it('does not repeat a secret from a text that is no YAML', async () => {
    const problems = await problemsOf(`a: "ghp_${body}\n  b: [ghp_${body}: {`);
    expect(problems.join('\n')).not.toContain(body);
  });
});
