// GitHub's own description of its REST API (`@octokit/openapi`, generated from github/rest-api-description), as a judge of
// requests: an operation that is not in it, a parameter or a member of a body that it does not name, a missing one and one
// of the wrong type are told. GitHub lets most unknown members pass; a client that sends one means something by it.
import { readFileSync } from 'node:fs';
import Ajv from 'ajv';
import addFormats from 'ajv-formats';

const source = import.meta.resolve('@octokit/openapi/generated/api.github.com.json');
const description = JSON.parse(readFileSync(new URL(source), 'utf8'));

const options = { strict: false, allErrors: true };
const bodies = addFormats(new Ajv(options));
// What is in a path or a query is text.
const texts = addFormats(new Ajv({ ...options, coerceTypes: true }));

const resolved = (value) => (value?.$ref ? value.$ref.split('/').slice(1).reduce((at, key) => at[key], description) : value);

/** A schema whose objects have the members that it names, and no others. */
function closed(schema) {
  const at = resolved(schema);
  if (typeof at !== 'object' || at === null) return at;
  if (Array.isArray(at)) return at.map(closed);
  const copy = Object.fromEntries(Object.entries(at).map(([key, value]) => [key, key === 'properties' ? properties(value) : closed(value)]));
  return copy.properties && copy.additionalProperties === undefined ? { ...copy, additionalProperties: false } : copy;
}

const properties = (members) => Object.fromEntries(Object.entries(members).map(([name, schema]) => [name, closed(schema)]));

/** Each path as an expression, those with fewer parameters first. */
const paths = Object.entries(description.paths)
  .map(([path, item]) => {
    const many = new Set(Object.values(item).flatMap(({ parameters = [] }) => parameters.map(resolved)).filter((one) => one['x-multi-segment']).map(({ name }) => name));
    const expression = path.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{(.+?)\}/g, (_, name) => (many.has(name) ? '(.+)' : '([^/]+)'));
    return { item, names: [...path.matchAll(/\{(.+?)\}/g)].map(([, name]) => name), expression: new RegExp(`^${expression}$`) };
  })
  .sort((a, b) => a.names.length - b.names.length);

const validators = new Map();
function validator(operation, where, ajv, schema) {
  const key = `${operation.operationId} ${where}`;
  if (!validators.has(key)) validators.set(key, ajv.compile(schema()));
  return validators.get(key);
}

/** The parameters of one place, as the schema of an object. */
function parametersIn(operation, place) {
  const listed = (operation.parameters ?? []).map(resolved).filter((parameter) => parameter.in === place);
  return {
    type: 'object', additionalProperties: false, required: listed.filter(({ required }) => required).map(({ name }) => name),
    properties: Object.fromEntries(listed.map(({ name, schema }) => [name, closed(schema)])),
  };
}

/** What is wrong with a request, or nothing. */
export function fault({ method, path, query, headers, raw, body }) {
  const place = paths.find(({ expression, item }) => expression.test(path) && item[method.toLowerCase()]);
  if (!place) return `GitHub has no ${method} ${path}`;
  const operation = place.item[method.toLowerCase()];
  const wrong = (where, ajv, schema, value) => {
    const validate = validator(operation, where, ajv, schema);
    return validate(value) ? undefined : `${operation.operationId}: ${ajv.errorsText(validate.errors, { dataVar: where })}`;
  };
  const values = place.expression.exec(path).slice(1).map(decodeURIComponent);
  const named = Object.fromEntries(place.names.map((name, n) => [name, values[n]]));
  return wrong('path', texts, () => parametersIn(operation, 'path'), named)
    ?? wrong('query', texts, () => parametersIn(operation, 'query'), Object.fromEntries(query))
    ?? bodyFault(operation, { headers, raw, body }, wrong);
}

function bodyFault({ operationId, requestBody }, { headers, raw, body }, wrong) {
  const content = resolved(requestBody)?.content?.['application/json'];
  if (raw.length === 0) return resolved(requestBody)?.required ? `${operationId}: the body is missing` : undefined;
  if (!content) return `${operationId}: takes no body`;
  if (!headers['content-type']?.startsWith('application/json')) return `${operationId}: the body is not called JSON`;
  if (body === undefined) return `${operationId}: the body is no JSON`;
  return wrong('body', bodies, () => closed(content.schema), body);
}
