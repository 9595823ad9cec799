export function readConfigText(file: string, path: string): Promise<string>;
