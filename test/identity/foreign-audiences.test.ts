import { expect, test } from 'vitest';
import { audienceFaults } from '../../src/identity/index.ts';

test.each([
  'sts.amazonaws.com',
  'https://sts.eu-west-1.amazonaws.com/',
  'STS.cn-north-1.amazonaws.com.cn',
  'api://AzureADTokenExchange',
  'api://azureadtokenexchangechina',
  'https://management.azure.com/',
  'https://management.core.windows.net',
  'https://graph.microsoft.com',
  'https://vault.azure.net/x',
  '//iam.googleapis.com/projects/1',
  'http://iam.googleapis.com/',
  'https://storage.googleapis.com',
  'https://kubernetes.default',
  'https://kubernetes.default.svc.cluster.local:443/',
  'https://github.com/acme',
  'https://gitlab.com',
  'aws.workload.identity',
  'azure.workload.identity',
  'gcp.workload.identity',
  'vault.workload.identity',
  'sigstore',
  'kubernetes',
  'vault',
  'octo-sts.dev',
])('an audience of another service is a fault: %s', (audience) => {
  expect(audienceFaults(audience)).toMatchObject([{ message: expect.stringContaining('belongs to another service') }]);
});

test.each(['https://pass.example.com', 'https://vault.example.com', 'https://github.com.example', 'hallpass', 'azure'])(
  'an audience of nobody else is none: %s',
  (audience) => {
    expect(audienceFaults(audience)).toEqual([]);
  },
);
