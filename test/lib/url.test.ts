import { expect, test } from 'vitest';
import { isLoopbackHost, urlFault } from '../../src/lib/url.ts';

test.each([
  'https://pass.example.com',
  'https://pass.example.com/',
  'https://pass.example.com:8443/a/b',
  'https://token.actions.githubusercontent.com',
  'https://xn--bcher-kva.example',
  'http://127.0.0.1:8787/dev',
  'http://[::1]:8787',
  'http://localhost:1',
])('%s is fine', (url) => {
  expect(urlFault(url)).toBeUndefined();
});

test.each([
  ['nothing', ''],
  ['no URL', 'pass.example.com'],
  ['another scheme', 'ftp://pass.example.com'],
  ['a script', 'javascript:alert(1)'],
  ['http elsewhere', 'http://pass.example.com'],
  ['http on a name that looks like loopback', 'http://localhost.example.com'],
  ['http on an address that looks like loopback', 'http://127.0.0.1.example.com'],
  ['http on every address', 'http://0.0.0.0'],
  ['a short loopback address', 'http://127.1'],
  ['a user', 'https://me@pass.example.com'],
  ['a user and a password', 'https://me:pw@pass.example.com'],
  ['a host hidden behind a user', 'https://ci.example.org@evil.example'],
  ['an empty user', 'https://@pass.example.com'],
  ['a query', 'https://pass.example.com/?'],
  ['a fragment', 'https://pass.example.com/#'],
  ['an upper-case host', 'https://Pass.example.com'],
  ['an upper-case scheme', 'HTTPS://pass.example.com'],
  ['a default port', 'https://pass.example.com:443'],
  ['dot segments', 'https://pass.example.com/a/../b'],
  ['a dot segment at the end', 'https://pass.example.com/a/..'],
  ['encoded dot segments', 'https://pass.example.com/%2e%2e/b'],
  ['an empty segment', 'https://pass.example.com//a'],
  ['a backslash', 'https://pass.example.com\\a'],
  ['a space', 'https://pass.example.com/a b'],
  ['a newline', 'https://pass.example.com\n'],
  ['a letter beyond ASCII', 'https://b\u00fccher.example'],
  ['more than 255 characters', `https://pass.example.com/${'a/'.repeat(120)}`],
])('%s is refused', (_, url) => {
  expect(urlFault(url)).toBeTypeOf('string');
});

test('loopback is 127.0.0.0/8, [::1] and localhost, and nothing that contains them', () => {
  for (const host of ['127.0.0.1', '127.255.0.9', '[::1]', 'localhost']) expect(isLoopbackHost(host), host).toBe(true);
  for (const host of ['128.0.0.1', '0.0.0.0', '[::]', 'localhost.', 'my-localhost', '127.0.0.1\n', '169.254.169.254']) {
    expect(isLoopbackHost(host), host).toBe(false);
  }
});
