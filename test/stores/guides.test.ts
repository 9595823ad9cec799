import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import type { GuideFacts } from '../../src/stores/guide.ts';
import { guides } from '../../src/stores/guides.ts';
import { stores } from '../../src/stores/index.ts';

const facts: GuideFacts = {
  store: 'there',
  issuer: 'https://pass.example.com',
  jwksUri: 'https://pass.example.com/.well-known/jwks.json',
  audience: 'their-audience',
  subject: 'broker:pass.example.com',
  algorithm: 'ES256',
};

const stepsFor = (entry: { kind: string } & Record<string, unknown>) => {
  const plugIn = stores.find(({ name }) => name === entry.kind);
  return guides[entry.kind]?.(z.parse(plugIn?.schema as never, entry), facts) ?? [];
};

const bao = { kind: 'vault', address: 'https://bao.example', role: 'hallpass' };
const cluster = { kind: 'kubernetes', server: 'https://k8s.example' };

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

  it('binds nobody but us to a right, as it stands', () => {
    for (const entry of [cluster, { ...cluster, namespace: 'shop' }])
      for (const { shell = '' } of stepsFor(entry)) expect(shell).not.toMatch(/^(?!#).*--serviceaccount/m);
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
    expect(one).toContain("--namespace='shop'");
  });
});
