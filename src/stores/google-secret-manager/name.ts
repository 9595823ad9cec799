/** The id of a secret within its project. */
export const isSecretName = (name: string): boolean => /^[A-Za-z0-9_-]{1,255}$/.test(name);
