// What is used of the Workers runtime; its own types would replace those of Node for the whole project.
declare module 'cloudflare:workers' {
  export abstract class DurableObject {
    constructor(
      ctx: { readonly storage: import('../src/ledger/drivers/durable-object/storage.ts').ObjectStorage },
      env: unknown,
    );
  }
  export abstract class WorkerEntrypoint<Env> {
    readonly env: Env;
    /** `props`: of the binding that the caller came by. */
    readonly ctx: { readonly props?: unknown; waitUntil(work: Promise<unknown>): void };
    fetch?(request: Request): Promise<Response>;
  }
}
