export interface Chunk {
  readonly name: string;
  readonly text: string;
}

export function takeChunks(folder: string): Promise<Chunk[]>;
export function writeBundle(folder: string, chunks: readonly Chunk[], atStart?: readonly string[]): Promise<string>;
