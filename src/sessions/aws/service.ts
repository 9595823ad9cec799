import type { Deadline } from '../../lib/deadline.ts';
import { version } from '../../lib/version.ts';
import type { SessionDeps } from '../session.ts';
import type { AwsCredentials } from './credentials.ts';
import { type AwsLogin, openAwsLogin } from './login.ts';
import { fromSdk, isSessionOver } from './refusal.ts';
import { endpointOf } from './region.ts';
import { signRequest } from './sign.ts';
import { hostOf, type SdkRequest, type SdkTransport, sdkTransport } from './transport.ts';

/** What a client of the SDK is made of. Everything is said here, so that it looks for nothing in files or environment. */
export interface SdkSettings {
  readonly region: string;
  readonly endpoint: string;
  readonly credentials: AwsCredentials;
  readonly requestHandler: SdkTransport;
  readonly signer: { sign(request: SdkRequest): Promise<SdkRequest> };
  readonly maxAttempts: 1;
  readonly retryMode: 'standard';
  readonly defaultsMode: 'standard';
  readonly useDualstackEndpoint: false;
  readonly useFipsEndpoint: false;
  readonly disableClockSkewCorrection: true;
  readonly authSchemePreference: string[];
  readonly userAgentAppId: string;
  readonly defaultUserAgentProvider: () => Promise<[string, string][]>;
}

export interface AwsServiceConfig extends AwsLogin {
  readonly endpoint?: string | undefined;
  /** Most bytes of an answer; default 1 MiB. */
  readonly answerBytes?: number | undefined;
}

/** One service of AWS, asked through a client of the SDK that lives as long as its session. */
export interface AwsService<Client> {
  /** One call; where the session is over, one login and the call once more. @throws UpstreamError and nothing else */
  ask<T>(
    step: string,
    deadline: Deadline,
    send: (client: Client, options: { requestTimeout: number }) => Promise<T>,
  ): Promise<T>;
}

/** `service` is its name in endpoints and signatures. No I/O before the first call. */
export function openAwsService<Client>(
  service: string,
  config: AwsServiceConfig,
  deps: SessionDeps,
  make: (settings: SdkSettings) => Client,
): AwsService<Client> {
  const { region, endpoint = endpointOf(service, region) } = config;
  const login = openAwsLogin(config, deps);
  const requestHandler = sdkTransport(deps, config.answerBytes);
  let made: { readonly by: AwsCredentials; readonly client: Client } | undefined;

  function clientOf(by: AwsCredentials): Client {
    if (made?.by !== by) made = { by, client: make(settingsFor(by)) };
    return made.client;
  }

  const settingsFor = (credentials: AwsCredentials): SdkSettings => ({
    region,
    endpoint,
    credentials,
    requestHandler,
    signer: {
      async sign(request) {
        const unsigned = { host: hostOf(request), headers: request.headers, body: request.body as string };
        return { ...request, headers: signRequest(unsigned, credentials, { service, region, now: deps.now() }) };
      },
    },
    maxAttempts: 1,
    retryMode: 'standard',
    defaultsMode: 'standard',
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    disableClockSkewCorrection: true,
    authSchemePreference: ['sigv4'],
    userAgentAppId: 'hallpass',
    defaultUserAgentProvider: async () => [['hallpass', version]],
  });

  return {
    async ask(step, deadline, send) {
      for (let again = false; ; again = true) {
        const by = await login.get(deadline);
        deps.step?.(step);
        try {
          return await send(clientOf(by), { requestTimeout: deadline.left() });
        } catch (thrown) {
          const error = fromSdk(thrown, step);
          if (again || !isSessionOver(error)) throw error;
          login.drop(by);
        }
      }
    },
  };
}
