// The API's description: it is served, its examples fit its schemas, and its page
// loads nothing from other origins.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { JSDOM } from "jsdom";
import { conforming, document, resolved, validator } from "./support/contract.js";
import { startWorker } from "./support/harness.js";

const { api } = await startWorker({ ENVIRONMENT: "production" });

/** Every operation as `[its place in the document, the operation]`. */
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => [["paths", path, method], operation]));

/** Every body of a request or an answer as `[its place, the Media Type Object]`. */
const contents = operations.flatMap(([place, { requestBody, responses }]) => [
  ...Object.entries(requestBody?.content ?? {}).map(([type, content]) => [[...place, "requestBody", "content", type], content]),
  ...Object.entries(responses).flatMap(([status, listed]) => {
    const start = listed.$ref ? listed.$ref.split("/").slice(1) : [...place, "responses", status];
    return Object.entries(resolved(listed).content ?? {}).map(([type, content]) => [[...start, "content", type], content]);
  }),
]);

test("The document is public, as JSON that may be cached", async () => {
  const response = await api("GET", "/openapi.json");
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.deepEqual(await response.json(), document);
  const again = await api("GET", "/openapi.json", undefined, { "if-none-match": response.headers.get("etag") });
  assert.equal(again.status, 304);
  assert.equal(await again.text(), "");
});

test("In development, the document says that no credential is needed", async () => {
  const local = await startWorker({ ENVIRONMENT: "development" });
  const optional = structuredClone(document);
  for (const operation of Object.values(optional.paths).flatMap(Object.values)) {
    if (operation.security.length > 0) operation.security.unshift({});
  }
  assert.deepEqual(await (await local.api("GET", "/openapi.json")).json(), optional);
});

test("A project's code is in the document in both of its forms, its other rules in words", () => {
  const wrong = validator("components", "schemas", "Code");
  for (const code of [{}, { "a.js": "1", "b/c.css": "" }, "{}", ' {"a.js": "1", "b/c.css":""}\n', JSON.stringify({ "src/ü.tsx": '"\\\n😀' })]) {
    assert.equal(wrong(code), undefined, code);
  }
  for (const code of [1, true, [], ["a.js"], { a: 1 }, { a: null }, { a: { b: "" } }]) assert.ok(wrong(code), JSON.stringify(code));
  assert.match(document.components.schemas.Code.description, /relative.*folder.*2,000 files.*1,400,000 bytes/);
});

test("The document contains everything that it refers to", () => {
  const references = JSON.stringify(document).match(/(?<="\$ref":")[^"]+/g);
  for (const reference of new Set(references)) {
    const found = reference.replace("#/", "").split("/").reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], document);
    assert.ok(reference.startsWith("#/") && found, reference);
  }
});

test("Every example fits its schema", () => {
  let examples = 0;
  for (const [place, content] of contents) {
    const values = content.examples ? Object.values(content.examples).map(({ value }) => value) : [content.example];
    for (const value of values.filter((value) => value !== undefined && !place.includes("text/event-stream"))) {
      examples += 1;
      assert.equal(validator(...place, "schema")(value), undefined, place.join(" "));
    }
  }
  assert.ok(examples > 100, `only ${examples}`);
});

test("Every operation has an example of its body, of its answers in JSON and of its path", () => {
  for (const [place, content] of contents) {
    const file = place.at(-1) === "application/json" && /openapi/.test(place[1]);
    if (/json|event-stream/.test(place.at(-1)) && !file) assert.ok(content.example ?? content.examples, place.join(" "));
  }
  for (const [place, { parameters = [] }] of operations) {
    for (const parameter of parameters.filter(({ in: where }) => where === "path")) assert.ok(parameter.example, place.join(" "));
  }
});

test("An operation for a user or the operator demands a credential, a public one does not", () => {
  for (const [place, operation] of operations) {
    assert.equal(operation.security.length === 0, operation["x-access"] === "public", place.join(" "));
    for (const scheme of operation.security.flatMap(Object.keys)) assert.ok(document.components.securitySchemes[scheme], scheme);
  }
});

test("A link leads from every creation to the created resource", () => {
  for (const [place, { responses }] of operations) {
    const created = responses[201] ?? responses[202];
    if (!created?.headers.Location) continue;
    const targets = Object.keys(created.links ?? {});
    assert.ok(targets.some((target) => /\.show(_|$)/.test(target)), place.join(" "));
  }
});

test("A response that is not in the document is detected", async () => {
  const json = (status, body, type = "application/json") =>
    new Response(JSON.stringify(body), { status, headers: { "content-type": type, "x-request-id": "req_12345678" } });
  const found = (method, path, response) => assert.rejects(conforming(method, path, response), /not as public\/openapi\.json/);
  await conforming("GET", "/health", json(200, { status: "ok" }));
  await found("GET", "/health", json(200, {}));
  await found("GET", "/health", json(200, { status: "ok", more: 1 }));
  await found("GET", "/health", json(418, { status: "ok" }));
  await found("GET", "/health", json(200, { status: "ok" }, "text/plain"));
  await found("GET", "/health", new Response('{"status":"ok"}', { headers: { "content-type": "application/json" } }));
  await found("GET", "/nowhere", json(200, {}));
  await found("PUT", "/health", json(200, {}));
  const { value } = resolved(document.paths["/health"].get.responses[401]).content["application/problem+json"].examples.unauthorized;
  const told = (problem) => {
    const response = json(401, problem, "application/problem+json");
    response.headers.set("www-authenticate", "Bearer");
    return response;
  };
  await conforming("GET", "/health", told(value));
  await found("GET", "/health", told({ ...value, code: "other" }));
});

test("The page and what it loads come from this Worker alone", async () => {
  const response = await api("GET", "/docs");
  assert.match(response.headers.get("content-type"), /^text\/html/);
  const policy = response.headers.get("content-security-policy");
  assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'/);
  assert.doesNotMatch(policy, /unsafe|https?:|\*/);
  const page = await response.text();
  const { window } = new JSDOM(page, { url: "http://localhost/docs" });
  for (const element of window.document.querySelectorAll("[src], link[href]")) {
    const url = element.getAttribute("src") ?? element.getAttribute("href");
    if (url === "data:,") continue;
    assert.equal((await api("GET", `/${url}`)).status, 200, url);
  }
  assert.equal(window.document.querySelectorAll("style, [style], [onclick], script:not([src])").length, 0, "the policy forbids what is inline");
  for (const name of ["docs.js", "docs.css"]) assert.doesNotMatch(await (await api("GET", `/${name}`)).text(), /https?:\/\/|@import|innerHTML/);
});

test("The page shows every operation, and finds one by its text", async () => {
  const { window } = new JSDOM(await readFile("public/docs.html", "utf8"), { url: "http://localhost/docs#projects.create" });
  const page = window.document;
  const { HTMLElement } = window;
  HTMLElement.prototype.scrollIntoView = () => {};
  const globals = {
    document: page, location: window.location, localStorage: window.localStorage, matchMedia: () => ({ matches: false }),
    addEventListener: () => {}, fetch: async () => new Response(JSON.stringify(document)),
  };
  const script = await readFile("public/docs.js", "utf8");
  const AsyncFunction = (async () => {}).constructor;
  await new AsyncFunction(...Object.keys(globals), script)(...Object.values(globals));

  const shown = () => [...page.querySelectorAll("details.operation")].filter((operation) => !operation.hidden).map(({ id }) => id);
  assert.deepEqual(shown().sort(), operations.map(([, { operationId }]) => operationId).sort());
  const named = page.getElementById("projects.create");
  assert.ok(named.open);
  named.dispatchEvent(new window.Event("toggle"));
  assert.match(named.textContent, /curl .*'http:\/\/localhost\/api\/projects'.* -d '\{"name":"Pomodoro"/);
  assert.match(named.textContent, /1 to 100 characters/);

  const filter = page.querySelector("#filter");
  filter.value = "POST remix";
  filter.dispatchEvent(new window.Event("input"));
  assert.deepEqual(shown(), ["discovery.remix"]);
  assert.equal(page.querySelector("#count").textContent, "1 operation");
});
