/** What the client takes of the runtime it is in. Every member can be given; what is left out is the runtime's own. */
export interface ClientPlatform {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly wait: (ms: number) => Promise<void>;
  /** The text of a file; rejects where there is none, or no files at all. */
  readonly readFile: (path: string) => Promise<string>;
  /** What is no failure of the call, such as a lease that could not be revoked. */
  readonly warn: (message: string) => void;
}

interface NodeProcess {
  readonly env?: ClientPlatform['env'];
  getBuiltinModule?(name: string): { readonly promises: { readFile(path: string, how: 'utf8'): Promise<string> } };
}

/** Looked up at each use, so that nothing of the instance it is made in is kept in a snapshot. */
export function thisPlatform(given: Partial<ClientPlatform>): ClientPlatform {
  const { process } = globalThis as { readonly process?: NodeProcess };
  return {
    env: process?.env ?? {},
    fetch: (url, init) => fetch(url, init),
    now: () => Date.now(),
    wait: (ms) => new Promise((done) => setTimeout(done, ms)),
    // Asked for by name at run time: no bundler for a runtime without files stumbles over an import.
    readFile: async (path) => {
      const fs = process?.getBuiltinModule?.('node:fs');
      if (!fs) throw new Error('no files');
      return fs.promises.readFile(path, 'utf8');
    },
    warn: (message) => console.warn(message),
    ...given,
  };
}
