type Files = typeof import('node:fs/promises');

/** `node:fs/promises` whose files note the path they were opened by whenever they are synced; for the factory of `vi.mock`. */
export async function notedSyncs(original: () => Promise<Files>, synced: string[]): Promise<Files> {
  const fs = await original();
  return {
    ...fs,
    async open(...given) {
      const file = await fs.open(...given);
      const { sync } = file;
      file.sync = () => {
        synced.push(String(given[0]));
        return sync.call(file);
      };
      return file;
    },
  };
}
