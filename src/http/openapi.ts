import manifest from '../../package.json' with { type: 'json' };
import { type ProblemCode, Refusal } from '../lib/refusal.ts';
import * as s from '../lib/schema/index.ts';
import { jsonSchema, mayMiss } from '../lib/schema/json-schema.ts';
import { issuancesQuery } from './issuances-query.ts';
import { oauthErrorOf } from './oauth-error.ts';
import { answers, oauthError, problem } from './openapi-answers.ts';
import { operationWords } from './openapi-words.ts';
import { problemOf } from './problem.ts';
import { type Operation, type Route, routes } from './routes.ts';
import { credentialName, recordId } from './schemas.ts';

/** What a form alone is refused for, besides `invalid_request`. */
const formErrors = ['invalid_client', 'invalid_scope', 'unsupported_grant_type'];

/** The OpenAPI 3.1 document of all routes, from the table and the schemas that serve them. Not for the runtime path. */
export function openApiDocument(): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const [operation, route] of Object.entries(routes) as [Operation, Route][]) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(operation, route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Hallpass',
      version: manifest.version,
      summary: 'A workload token in, a short-lived credential out, a tamper-evident record kept.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths,
    components: {
      securitySchemes: {
        workloadToken: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'The OIDC token of the platform.',
        },
      },
      schemas: { Problem: jsonSchema(problem), OAuthError: jsonSchema(oauthError) },
    },
  };
}

function operationOf(operation: Operation, route: Route): object {
  const { summary, needs, body, form, refusals } = operationWords[operation];
  return {
    operationId: operation,
    summary,
    ...(needs !== 'public' && { security: [{ workloadToken: [] }] }),
    ...(needs !== 'public' && needs !== 'token' && { description: `Needs a role with \`${needs}\`.` }),
    parameters: parametersOf(operation, route),
    ...(body !== undefined && {
      requestBody: {
        required: operation === 'appendEntries' || operation === 'claimSuccession' || operation === 'addLockdown',
        content: { 'application/json': { schema: jsonSchema(body) } },
      },
    }),
    ...(form !== undefined && {
      requestBody: { required: true, content: { 'application/x-www-form-urlencoded': { schema: jsonSchema(form) } } },
    }),
    responses: { ...answersOf(operation, route), ...refusalsOf(route, refusals) },
  };
}

/** Of routes whose handler checks the query itself. */
const laterQueries: { readonly [operation in Operation]?: s.AnyObject } = { listIssuances: issuancesQuery };

function parametersOf(operation: Operation, { path, query: own }: Route): object[] {
  const query = own === 'later' ? laterQueries[operation] : own;
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: jsonSchema(name === 'name' ? credentialName : name === 'id' ? recordId : s.string()),
  }));
  if (query === undefined || query === 'ignored') return inPath;
  const inQuery = Object.entries(s.shapeOf(query)).map(([name, schema]) => ({
    name,
    in: 'query',
    required: !mayMiss(schema),
    schema: jsonSchema(schema),
  }));
  return [...inPath, ...inQuery];
}

function answersOf(operation: Operation, { produces, alsoProduces = [], makes }: Route): Record<string, object> {
  if (produces === undefined)
    return { 204: { description: 'Done.' }, 202: { description: 'Recorded, not yet done at the target.' } };
  const schema = operation in answers ? jsonSchema(answers[operation as keyof typeof answers]) : { type: 'string' };
  const others = alsoProduces.map((type) => [type, { schema: { type: 'string' } }]);
  const content = {
    [produces]: produces === 'application/octet-stream' ? {} : { schema },
    ...Object.fromEntries(others),
  };
  return {
    200: { description: 'OK', content },
    ...(makes && { 201: { description: 'Made.', content } }),
  };
}

function refusalsOf({ produces, always, refuses }: Route, codes: readonly ProblemCode[]): Record<string, object> {
  const all: ProblemCode[] = ['invalid_request', ...codes, 'internal'];
  if (always === undefined) all.push('overloaded');
  if (produces === 'application/json') all.push('not_acceptable');
  const shape = refuses === 'oauth' ? oauthErrorOf : problemOf;
  const shaped = all.map((code) => ({ code, ...shape(new Refusal(code, 'documented'), '') }));
  const statuses = [...new Set(shaped.map(({ status }) => status))].sort();
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      refusalOf(
        shaped.filter((one) => one.status === status),
        refuses,
      ),
    ]),
  );
}

interface Shaped {
  readonly code: ProblemCode;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

function refusalOf(shaped: readonly Shaped[], refuses: Route['refuses']): object {
  const named = Object.keys(shaped[0]?.headers ?? {}).filter((name) => name !== 'content-type');
  const codes = shaped.map(({ code, body }) => (refuses === 'oauth' ? JSON.parse(body).error : code));
  if (refuses === 'oauth' && shaped.some(({ code }) => code === 'invalid_request')) codes.push(...formErrors);
  const [type, schema] =
    refuses === 'oauth' ? ['application/json', 'OAuthError'] : ['application/problem+json', 'Problem'];
  return {
    description: [...new Set(codes)].map((code) => `\`${code}\``).join(', '),
    ...(named.length > 0 && {
      headers: Object.fromEntries(named.map((name) => [name, { schema: { type: 'string' } }])),
    }),
    content: { [type]: { schema: { $ref: `#/components/schemas/${schema}` } } },
  };
}
