// Checks responses against public/openapi.json. A path, a status, a media type, a
// header, a field or an error's code that is not in it is a failure.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

export const document = JSON.parse(readFileSync(new URL("../../public/openapi.json", import.meta.url), "utf8"));

const ajv = addFormats(new Ajv({ strict: true, strictRequired: false, allowUnionTypes: true, allErrors: true }));
ajv.addVocabulary(["openapi", "info", "servers", "tags", "paths", "components"]);
ajv.addSchema(document, "openapi");

/** Resolves `#/a/b` in the document; returns any other value unchanged. */
export function resolved(value) {
  if (!value?.$ref) return value;
  return value.$ref.split("/").slice(1).reduce((at, key) => at[key.replaceAll("~1", "/").replaceAll("~0", "~")], document);
}

/** A function that returns the errors of a value against the schema at this place of the document. */
export function validator(...place) {
  const pointer = place.map((key) => encodeURIComponent(key.replaceAll("~", "~0").replaceAll("/", "~1"))).join("/");
  const validate = ajv.getSchema(`openapi#/${pointer}`);
  return (value) => (validate(value) ? undefined : ajv.errorsText(validate.errors));
}

const validators = new Map();
function cachedValidator(...place) {
  const key = place.join(" ");
  if (!validators.has(key)) validators.set(key, validator(...place));
  return validators.get(key);
}

/** Each path of the document as an expression, those with fewer parameters first. */
const paths = Object.entries(document.paths)
  .map(([path, item]) => {
    const parameters = Object.values(item)[0].parameters ?? [];
    const expression = path.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{(.+?)\}/g, (_, name) =>
      parameters.find((parameter) => parameter.name === name)["x-rest-of-path"] ? "[^?]+" : "[^/]+");
    return { path, item, expression: new RegExp(`^${expression}$`), holes: path.split("{").length };
  })
  .sort((a, b) => a.holes - b.holes);

/** The document's path that matches a request's path, under one of its servers. */
function placeOf(pathname) {
  const found = (path) => paths.find(({ expression }) => expression.test(path));
  const aliased = pathname.startsWith("/api/v1/") && found(pathname.slice("/api/v1".length));
  const has = (place) => Object.values(place.item)[0].servers?.some(({ url }) => url === "/api/v1");
  return found(pathname) ?? (aliased && has(aliased) ? aliased : undefined);
}

/**
 * Checks a response of the Worker against the document, and returns it. Its
 * body can still be read; that of a stream is not touched.
 *
 * @param {string} method of the request
 * @param {string | URL} url its path, or the whole
 * @param {Response} response
 */
export async function conforming(method, url, response) {
  // Concatenated, because `//x` alone would be another host.
  const { pathname } = new URL(/^https?:/.test(url) ? url : `http://localhost${url}`);
  const told = `${method} ${pathname} ${response.status}: not as public/openapi.json has it:`;
  const { path, item } = placeOf(pathname) ?? {};
  const operation = item?.[method === "HEAD" ? "get" : method.toLowerCase()];
  if (!operation) {
    const expected = item ? (method === "OPTIONS" ? 204 : 405) : 404;
    assert.equal(response.status, expected, `${told} ${item ? "no such method" : "no such path"}`);
    return response;
  }
  const place = ["paths", path, method === "HEAD" ? "get" : method.toLowerCase(), "responses", String(response.status)];
  const listed = operation.responses[response.status];
  assert.ok(listed, `${told} no such status`);
  const declared = resolved(listed);
  for (const [name, header] of Object.entries(declared.headers)) {
    if (resolved(header).required) assert.ok(response.headers.has(name), `${told} no header ${name}`);
  }
  if (method !== "HEAD") await conformingBody(told, listed.$ref ? listed.$ref.split("/").slice(1) : place, declared, response);
  return response;
}

async function conformingBody(told, place, declared, response) {
  const essence = response.headers.get("content-type")?.split(";")[0];
  if (!declared.content) {
    assert.equal(essence, undefined, `${told} a body`);
    return;
  }
  const type = [essence, "*/*"].find((type) => declared.content[type]);
  assert.ok(type, `${told} no such media type: ${essence}`);
  if (!/json$/.test(type)) return;
  const body = await response.clone().json();
  const wrong = cachedValidator(...place, "content", type, "schema")(body);
  assert.ok(!wrong, `${told} ${wrong}\n${JSON.stringify(body).slice(0, 500)}`);
  const codes = declared.content[type].examples;
  if (type === "application/problem+json") assert.ok(codes[body.code], `${told} no such code: ${body.code}`);
}
