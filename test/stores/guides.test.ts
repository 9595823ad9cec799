import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { quote } from '../../src/lib/guide.ts';
import * as s from '../../src/lib/schema/index.ts';
import type { GuideFacts, GuideStep } from '../../src/stores/guide.ts';
import { guides } from '../../src/stores/guides.ts';
import { stores } from '../../src/stores/index.ts';

const facts: GuideFacts = {
  store: 'there',
  issuer: 'https://pass.example.com',
  jwksUri: 'https://pass.example.com/.well-known/jwks.json',
  audience: 'their-audience',
  subject: 'broker:pass.example.com',
  algorithm: 'ES256 or RS256',
  names: [],
};

type Entry = { kind: string } & Record<string, unknown>;

const configOf = (entry: Entry) => s.parse(stores.find(({ name }) => name === entry.kind)?.schema as never, entry);
const stepsFor = (entry: Entry, names: readonly string[] = []) =>
  guides[entry.kind]?.guide(configOf(entry), { ...facts, names }) ?? [];
const platformSteps = (entry: Entry, names: readonly string[] = []) =>
  guides[entry.kind]?.platform.steps(configOf(entry), names) ?? [];
const shellOf = (steps: readonly GuideStep[]) => steps.map(({ shell }) => shell).join('\n');
const documentOf = (steps: readonly GuideStep[], name: string) =>
  steps.find(({ file }) => file?.name === `hallpass-${name}.json`)?.file?.json ?? {};

const bao = { kind: 'vault', address: 'https://bao.example', role: 'hallpass' };
const cluster = { kind: 'kubernetes', server: 'https://k8s.example' };
const aws = { kind: 'aws-secrets-manager', region: 'eu-west-1' };
const azure = { kind: 'azure-key-vault', vault: 'https://hub.vault.azure.net' };
const google = { kind: 'google-secret-manager', project: 'acme-core' };
const client = '22222222-2222-2222-2222-222222222222';
const asserted = {
  aws: { ...aws, assume: 'arn:aws:iam::123456789012:role/hallpass' },
  azure: { ...azure, tenant: '11111111-1111-1111-1111-111111111111', client },
  google: {
    ...google,
    provider: 'projects/123456789/locations/global/workloadIdentityPools/outside/providers/hallpass',
  },
};

describe('the guide of a store', () => {
  it('is there for every store that an assertion opens', () => {
    const asserted = stores.filter(({ assertion }) => assertion !== undefined).map(({ name }) => name);
    expect(Object.keys(guides).sort()).toEqual(asserted.sort());
  });

  it.each([bao, { ...bao, version: 1, mount: 'kv', namespace: 'team' }, cluster, { ...cluster, namespace: 'shop' }])(
    'trusts this issuer, audience and subject, and nobody else: %j',
    (entry) => {
      const text = JSON.stringify(stepsFor(entry));
      for (const fact of [facts.issuer, facts.audience, facts.subject]) expect(text).toContain(fact);
    },
  );

  it('names each document in the line that uses it', () => {
    for (const entry of [bao, cluster])
      for (const { file, shell } of stepsFor(entry)) if (file !== undefined) expect(shell).toContain(file.name);
  });

  it('binds nobody but us to a right', () => {
    for (const entry of [cluster, { ...cluster, namespace: 'shop' }])
      expect(JSON.stringify(stepsFor(entry))).not.toMatch(/serviceaccount/i);
  });

  it('gives no right to write or remove', () => {
    const rights = (entry: typeof bao & { version?: number }) =>
      stepsFor(entry).flatMap(({ file }) => [
        ...JSON.stringify(file?.json ?? {}).matchAll(/"capabilities":(\[.*?\])/g),
      ]);
    for (const version of [1, 2])
      for (const [, list] of rights({ ...bao, version }))
        expect(['read', 'list']).toEqual(expect.arrayContaining(JSON.parse(list as string)));
    const verbs = [...JSON.stringify(stepsFor(cluster)).matchAll(/"verbs":(\[.*?\])/g)].map(([, list]) => list);
    expect(verbs).toEqual(['["get"]']);
  });

  it('reads all namespaces of a cluster only where the entry names none', () => {
    expect(JSON.stringify(stepsFor(cluster))).toContain('"ClusterRoleBinding"');
    const one = JSON.stringify(stepsFor({ ...cluster, namespace: 'shop' }));
    expect(one).not.toMatch(/clusterrole/i);
    expect(one).toContain('"namespace":"shop"');
  });
});

describe('the rights in a guide', () => {
  const arn = 'arn:aws:secretsmanager:eu-central-1:999999999999:secret:shared/mail';
  const resources = (steps: readonly GuideStep[]) => {
    const [statement] = documentOf(steps, 'permissions').Statement as [{ Resource: unknown }];
    return statement.Resource;
  };

  it('are for the ARN of each secret that the config names, in AWS', () => {
    const names = ['prod/stripe', `${arn}-AbC123`, arn];
    expect(resources(stepsFor(asserted.aws, names))).toEqual([
      'arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/stripe-??????',
      `${arn}-AbC123`,
      `${arn}-??????`,
    ]);
    expect(resources(platformSteps(aws, ['prod/stripe']))).toEqual([
      'arn:aws:secretsmanager:eu-west-1:ACCOUNT:secret:prod/stripe-??????',
    ]);
  });

  it('are for the path of each secret that the config names, in Vault', () => {
    const read = { capabilities: ['read'] };
    expect(documentOf(stepsFor(bao, ['shop/key', 'mail']), 'policy').path).toEqual({
      'secret/data/shop/key': read,
      'secret/metadata/shop/key': read,
      'secret/data/mail': read,
      'secret/metadata/mail': read,
    });
    expect(documentOf(stepsFor({ ...bao, version: 1, mount: 'kv' }, ['mail']), 'policy').path).toEqual({
      'kv/mail': read,
    });
  });

  it('are one role assignment for each named secret in Azure, and none on the vault', () => {
    const shell = shellOf(stepsFor(asserted.azure, ['mail-key', 'other']));
    const scopes = shell.match(/--scope .*/g);
    expect(scopes).toHaveLength(2);
    expect(scopes?.[0]).toBe(`--scope "$(az keyvault show --name 'hub' --query id --output tsv)"/secrets/'mail-key'`);
    expect(shell).not.toContain('SECRET');
  });

  it('are one binding for each named secret in Google Cloud', () => {
    const bound = shellOf(stepsFor(asserted.google, ['maps-key', 'other'])).match(/add-iam-policy-binding '\S+'/g);
    expect(bound).toEqual(["add-iam-policy-binding 'maps-key'", "add-iam-policy-binding 'other'"]);
  });

  it('are for the named Secrets in Kubernetes, each in its own namespace', () => {
    const rules = (entry: Entry, names: string[]) =>
      (documentOf(stepsFor(entry, names), 'access').items as { kind: string; metadata: object; rules?: object }[])
        .filter(({ rules }) => rules !== undefined)
        .map(({ kind, metadata, rules }) => ({ kind, metadata, rules }));
    const role = (namespace: string, resourceNames: string[]) => ({
      kind: 'Role',
      metadata: { name: 'hallpass', namespace },
      rules: [{ apiGroups: [''], resources: ['secrets'], resourceNames, verbs: ['get'] }],
    });
    expect(rules({ ...cluster, namespace: 'shop' }, ['stripe/key', 'stripe/other', 'mail'])).toEqual([
      role('shop', ['stripe', 'mail']),
    ]);
    expect(rules(cluster, ['shop/stripe/key', 'audit/mail'])).toEqual([
      role('shop', ['stripe']),
      role('audit', ['mail']),
    ]);
  });

  it.each([
    ...[asserted.aws, asserted.azure, asserted.google, bao, cluster],
    ...[
      { ...bao, role: undefined, tokenFile: '/token' },
      { ...cluster, tokenFile: '/token' },
    ],
  ])('leave out a name that the store cannot hold: $kind', (entry) => {
    for (const name of ["x'; touch pwned; '", '$(touch pwned)', '*', 'a*', 'a\nEND'])
      for (const show of [stepsFor, platformSteps])
        expect(JSON.stringify(show(entry, [name]))).toBe(JSON.stringify(show(entry)));
  });
});

describe('the script of a Vault', () => {
  /** Runs it with a `bao` that notes its arguments and finds the path of the login taken. */
  function calls(flags: string): string[] {
    const fake = 'bao() { echo "$*" >> calls; [ "$1 $2" != "auth enable" ]; }; rm -f calls';
    const folder = mkdtempSync(join(tmpdir(), 'hallpass-guide-'));
    const script = `${fake}\n${shellOf(stepsFor(bao))}`;
    spawnSync('sh', [flags], { cwd: folder, input: script });
    const made = readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n');
    rmSync(folder, { recursive: true });
    return made;
  }

  it('stops where the path of the login is taken', () => {
    expect(calls('-eu')).toEqual(['auth enable -path=jwt jwt']);
  });

  it('leaves the login that is there as it is, even pasted into a shell that goes on', () => {
    expect(calls('-u')).not.toContainEqual(expect.stringContaining('auth/jwt/config'));
  });
});

describe('the guide of a store that the platform’s own identity opens', () => {
  const cases: [Entry, readonly string[]][] = [
    [aws, ['--role-name ROLE', 'secret:name-']],
    [{ ...aws, region: 'cn-north-1' }, ['arn:aws-cn:']],
    [azure, ['--assignee-object-id PRINCIPAL', "/secrets/'name'"]],
    [{ ...azure, identity: client }, [`az ad sp show --id '${client}'`, "/secrets/'name'"]],
    [google, ["--member='serviceAccount:RUNS-AS'", "add-iam-policy-binding 'name'"]],
    [
      { ...google, account: 'reader@acme-core.iam.gserviceaccount.com' },
      ['roles/iam.serviceAccountTokenCreator', "--member='serviceAccount:reader@acme-core.iam.gserviceaccount.com'"],
    ],
    [{ ...bao, auth: 'kubernetes', tokenFile: '/token' }, ['secret/data/name', 'bound_service_account_names']],
    [{ ...bao, tokenFile: '/token' }, ['secret/data/name', '"bound_subject":"system:serviceaccount:NAMESPACE:NAME"']],
    [{ ...cluster, namespace: 'shop', tokenFile: '/token' }, ['"kind":"ServiceAccount"', '"resourceNames":["name"]']],
  ];

  it.each(cases)('gives it the right to read what the config names: %j', (entry, parts) => {
    const steps = platformSteps(entry, ['name']);
    const text = `${shellOf(steps)}\n${steps.map(({ file }) => JSON.stringify(file?.json)).join('\n')}`;
    for (const part of parts) expect(text).toContain(part);
    expect(text).not.toContain(facts.issuer);
  });
});

describe('quote', () => {
  it('makes one word of the shell, whatever is in it', () => {
    for (const text of ["it's", '$(id)', '`id`', 'a b', '"', "'", '\\', 'a\nb', '']) {
      const out = execFileSync('sh', ['-c', `printf %s ${quote(text)}`], { encoding: 'utf8' });
      expect(out).toBe(text);
    }
  });
});
