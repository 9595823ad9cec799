import { EventEmitter } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { listen } from '../../src/http/listen.ts';
import { freePort } from '../support/free-port.ts';

const has6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
const addresses = ['127.0.0.1', '0.0.0.0', ...(has6 ? ['::1', '::'] : [])];
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

function newServer(): Server {
  const server = createServer((_incoming, outgoing) => outgoing.end('here'));
  servers.push(server);
  return server;
}

/** As a process that somebody started, or as one that its parent can talk to: a worker of a cluster, say. */
async function listenAs(kind: 'alone' | 'forked', server: Server, host: string, port: number): Promise<AddressInfo> {
  const { send } = process;
  process.send = kind === 'alone' ? undefined : () => true;
  try {
    const listening = listen(server, host, port);
    process.send = send;
    await listening;
  } finally {
    process.send = send;
  }
  return server.address() as AddressInfo;
}

describe.each(['alone', 'forked'] as const)('a process %s', (kind) => {
  it.each(addresses)('listens on %s', async (host) => {
    const { address, port, family } = await listenAs(kind, newServer(), host, 0);
    expect([address, family]).toEqual([host, host.includes(':') ? 'IPv6' : 'IPv4']);
    const loopback = host.includes(':') ? '[::1]' : '127.0.0.1';
    expect(await (await fetch(`http://${loopback}:${port}`)).text()).toBe('here');
  });

  it('listens on what a name stands for', async () => {
    expect((await listenAs(kind, newServer(), 'localhost', 0)).address).toMatch(/^(127\.0\.0\.1|::1)$/);
  });

  it('listens on the port it is told, and says when another has it', async () => {
    const port = await freePort();
    const server = newServer();
    expect((await listenAs(kind, server, '127.0.0.1', port)).port).toBe(port);
    await expect(listenAs(kind, newServer(), '127.0.0.1', port)).rejects.toMatchObject({
      code: 'EADDRINUSE',
      address: '127.0.0.1',
      port,
      syscall: 'listen',
    });
  });

  it('says that an address is not its own, and that a port is none', async () => {
    await expect(listenAs(kind, newServer(), '192.0.2.1', 0)).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
    for (const port of [Number.NaN, -1, 65_536, 1.5])
      await expect(listenAs(kind, newServer(), '127.0.0.1', port)).rejects.toMatchObject({
        code: 'ERR_SOCKET_BAD_PORT',
      });
  });
});

it('asks for neither DNS nor a cluster where nobody forked it and the address is one', async () => {
  const server = newServer();
  const whole = vi.spyOn(server, 'listen');
  await listenAs('alone', server, '127.0.0.1', 0);
  expect(whole).not.toHaveBeenCalled();
  const other = newServer();
  const asked = vi.spyOn(other, 'listen');
  await listenAs('forked', other, '127.0.0.1', 0);
  expect(asked).toHaveBeenCalledOnce();
});

it('listens as Node has it where there is nothing shorter', async () => {
  const other = Object.assign(new EventEmitter(), {
    listen: vi.fn(() => other.emit('listening')),
    address: () => null,
  });
  await listenAs('alone', other as unknown as Server, '127.0.0.1', 8787);
  expect(other.listen).toHaveBeenCalledExactlyOnceWith({ host: '127.0.0.1', port: 8787 });
});
