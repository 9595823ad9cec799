import { durationSchema, refSchema } from '../lib/common-schemas.ts';
import type { Fault } from '../lib/fault.ts';
import * as s from '../lib/schema/index.ts';
import type { KindPlugIn } from './index.ts';
import { templateFaults } from './template.ts';

const option = s.optional(s.later(() => s.string().check(s.regex(/^[\x20-\x7e]{1,1024}$/))));

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('ssh'),
    key: s.optional(refSchema),
    publicKey: s.string().check(s.regex(/^(ssh-ed25519|ecdsa-sha2-nistp256) [A-Za-z0-9+/=]+( [^\r\n]*)?\n?$/)),
    type: s.withDefault(s.enum(['user', 'host']), 'user'),
    principals: s.array(s.string().check(s.minLength(1), s.maxLength(1024))).check(s.minLength(1), s.maxLength(16)),
    options: s.optional(s.strictObject({ 'force-command': option, 'source-address': option })),
    extensions: s.optional(
      s
        .array(
          s.enum([
            'no-touch-required',
            'permit-X11-forwarding',
            'permit-agent-forwarding',
            'permit-port-forwarding',
            'permit-pty',
            'permit-user-rc',
          ]),
        )
        .check(s.maxLength(6)),
    ),
    ttl: s.optional(durationSchema(30, 604_800)),
  }),
);

export type SshConfig = s.infer<typeof schema>;

/** A certificate for a user or a host of a CA of one's own, its principals by templates over the identity. */
export const ssh: KindPlugIn = {
  name: 'ssh',
  about: 'An SSH certificate of a CA of one’s own, signed once its record is durable',
  made: 'signed',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  check: (config) => findFaults(config as SshConfig),
  async load() {
    const { open } = await import('./ssh/open.ts');
    return { open: (config, deps) => open(config as SshConfig, deps) };
  },
};

const addresses = /^[0-9a-fA-F.:]+(\/\d{1,3})?(,[0-9a-fA-F.:]+(\/\d{1,3})?)*$/;

function findFaults({ publicKey, type, principals, options = {}, extensions }: SshConfig): Fault[] {
  const faults = principals.flatMap((principal, at) => templateFaults(principal, ['principals', at]));
  if (!isPublicKey(publicKey))
    faults.push({ path: ['publicKey'], message: 'expected the line of a CA’s public key, Ed25519 or P-256' });
  const from = options['source-address'];
  if (from !== undefined && !addresses.test(from))
    faults.push({ path: ['options', 'source-address'], message: 'expected addresses and CIDR blocks, with commas' });
  for (const [member, value] of Object.entries({ options: Object.keys(options)[0], extensions }))
    if (type === 'host' && value !== undefined)
      faults.push({ path: [member], message: `a host certificate has no ${member}` });
  return faults;
}

function isPublicKey(line: string): boolean {
  const [type = '', base64 = ''] = line.split(' ');
  const key = Buffer.from(base64, 'base64');
  return key.length === (type === 'ssh-ed25519' ? 51 : 104) && key.toString('latin1', 4).startsWith(type);
}
