import {
  createCipheriv,
  createDecipheriv,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign as signBytes,
} from 'node:crypto';
import { takeRsaPair } from '../../support/rsa.ts';
import type { FakeAnswer, FakeCall } from '../server.ts';
import { ok, refuse, sum } from './answers.ts';

/** `ec` and `rsa` sign, `seal` encrypts. */
type Purpose = 'ec' | 'rsa' | 'seal';

interface FakeKeyVersion {
  readonly name: string;
  state: 'ENABLED' | 'DISABLED';
  readonly pair: { readonly publicKey: KeyObject; readonly privateKey: KeyObject } | undefined;
}

interface FakeKey {
  readonly purpose: Purpose;
  readonly secret: Uint8Array;
  readonly versions: FakeKeyVersion[];
}

const algorithms = {
  ec: 'EC_SIGN_P256_SHA256',
  rsa: 'RSA_SIGN_PKCS1_2048_SHA256',
  seal: 'GOOGLE_SYMMETRIC_ENCRYPTION',
} as const;

const path =
  /^\/v1\/(projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+\/cryptoKeys\/[^/:]+)(\/cryptoKeyVersions(?:\/(\d+))?)?(?:[:/](\w+))?$/;

/** Cloud KMS v1: signing keys and sealing keys, with versions. */
export function fakeKms() {
  const keys = new Map<string, FakeKey>();
  /** Members of the next answers that are given wrongly. */
  const wrong = new Set<string>();

  function makeVersion(key: FakeKey, name: string): FakeKeyVersion {
    const pair =
      key.purpose === 'seal'
        ? undefined
        : key.purpose === 'ec'
          ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
          : takeRsaPair();
    const version = { name: `${name}/cryptoKeyVersions/${key.versions.length + 1}`, state: 'ENABLED' as const, pair };
    key.versions.push(version);
    return version;
  }

  const view = ({ purpose }: FakeKey, { name, state }: FakeKeyVersion) => ({
    name,
    state,
    algorithm: algorithms[purpose],
  });

  /** Each checksum in an answer, by what it is of. */
  const sums = (values: Readonly<Record<string, Uint8Array>>) =>
    Object.fromEntries(
      Object.entries(values).map(([name, bytes]) => [`${name}Crc32c`, wrong.has(`${name}Crc32c`) ? '1' : sum(bytes)]),
    );

  function answer({ method, url, body }: FakeCall): FakeAnswer {
    const [, name = '', versions, number, verb] = path.exec(url.pathname) ?? [];
    const key = keys.get(name);
    if (key === undefined) return refuse('NOT_FOUND');
    const json = body === '' ? {} : (JSON.parse(body) as Record<string, string>);
    if (verb === 'encrypt' || verb === 'decrypt') return seal(key, name, verb, json);
    if (versions !== undefined && number === undefined)
      return method === 'POST' ? ok(view(key, makeVersion(key, name))) : list(key, url);
    const version = key.versions[Number(number) - 1];
    if (version?.pair === undefined) return refuse('NOT_FOUND');
    if (version.state !== 'ENABLED') return refuse('FAILED_PRECONDITION');
    if (verb === 'publicKey') {
      const pem = version.pair.publicKey.export({ type: 'spki', format: 'pem' }) as string;
      return ok({ ...view(key, version), pem, ...sums({ pem: Buffer.from(pem) }) });
    }
    return verb === 'asymmetricSign' ? signWith(version, version.pair.privateKey, json) : refuse('NOT_FOUND');
  }

  function list(key: FakeKey, url: URL): FakeAnswer {
    const all = url.searchParams.get('filter') === 'state=ENABLED' ? key.versions.filter(isEnabled) : key.versions;
    const from = Number(url.searchParams.get('pageToken') ?? '0');
    const page = all.slice(from, from + 3);
    const next = from + 3 < all.length ? { nextPageToken: String(from + 3) } : {};
    return ok({ ...(page.length > 0 && { cryptoKeyVersions: page.map((one) => view(key, one)) }), ...next });
  }

  function signWith(
    { name }: FakeKeyVersion,
    key: KeyObject,
    { data, dataCrc32c }: Record<string, string>,
  ): FakeAnswer {
    const bytes = Buffer.from(data ?? '', 'base64');
    if (dataCrc32c !== undefined && dataCrc32c !== sum(bytes)) return refuse('INVALID_ARGUMENT');
    const signature = signBytes('sha256', bytes, key);
    const verifiedDataCrc32c = dataCrc32c !== undefined && !wrong.has('verifiedDataCrc32c');
    return ok({ name, signature: signature.toString('base64'), ...sums({ signature }), verifiedDataCrc32c });
  }

  function seal({ purpose, secret }: FakeKey, name: string, verb: string, json: Record<string, string>): FakeAnswer {
    if (purpose !== 'seal') return refuse('INVALID_ARGUMENT');
    if (verb === 'encrypt') {
      const plaintext = Buffer.from(json.plaintext ?? '', 'base64');
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', secret, nonce);
      const ciphertext = Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
      const verifiedPlaintextCrc32c = json.plaintextCrc32c === sum(plaintext) && !wrong.has('verifiedPlaintextCrc32c');
      return ok({
        name: `${name}/cryptoKeyVersions/1`,
        ciphertext: ciphertext.toString('base64'),
        ...sums({ ciphertext }),
        verifiedPlaintextCrc32c,
      });
    }
    try {
      const sealed = Buffer.from(json.ciphertext ?? '', 'base64');
      const decipher = createDecipheriv('aes-256-gcm', secret, sealed.subarray(0, 12));
      decipher.setAuthTag(sealed.subarray(-16));
      const plaintext = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
      return ok({ plaintext: plaintext.toString('base64'), ...sums({ plaintext }) });
    } catch {
      return refuse('INVALID_ARGUMENT');
    }
  }

  return {
    answer,
    wrong,
    /** Makes a key with one version; returns its name. */
    make(purpose: Purpose, id: string = purpose): string {
      const name = `projects/acme-core/locations/europe-west1/keyRings/hallpass/cryptoKeys/${id}`;
      const key: FakeKey = { purpose, secret: randomBytes(32), versions: [] };
      keys.set(name, key);
      makeVersion(key, name);
      return name;
    },
    disable(name: string, number: number) {
      const version = keys.get(name)?.versions[number - 1];
      if (version !== undefined) version.state = 'DISABLED';
    },
  };
}

const isEnabled = ({ state }: FakeKeyVersion): boolean => state === 'ENABLED';
