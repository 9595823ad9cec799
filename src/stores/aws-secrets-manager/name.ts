/** What AWS's own services keep there has a `!` in its name: `rds!cluster-...`. */
const namePattern = /^[\w/+=.@!-]{1,512}$/;
const arnPattern = /^arn:aws(-[a-z]+)*:secretsmanager:[a-z0-9-]{1,32}:[0-9]{12}:secret:[\w/+=.@!-]{1,520}$/;

export const isSecretArn = (name: string): boolean => arnPattern.test(name);

/** What a secret is asked for by: its name, or its ARN. */
export const isSecretName = (name: string): boolean => namePattern.test(name) || isSecretArn(name);
