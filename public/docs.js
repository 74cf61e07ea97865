// Draws openapi.json as a page. Nothing is loaded but that document, and
// nothing of it is taken for markup.

const METHODS = ["get", "post", "put", "patch", "delete"];
const FILTERABLE = new WeakMap();

/** An element: `h("p.soft", { title: "x" }, "text", child)`. */
function h(kind, attributes, ...children) {
  const [tag, ...classes] = kind.split(".");
  const element = document.createElement(tag);
  element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null));
  return element;
}

/** The little Markdown of descriptions: paragraphs and `code`. */
const paragraphs = (text = "") => text.split("\n\n").filter(Boolean).map((paragraph) => h("p", {}, inline(paragraph)));
const inline = (text) => text.split(/`([^`]+)`/).map((part, i) => (i % 2 ? h("code", {}, part) : part));

const api = await load();

async function load() {
  const response = await fetch("openapi.json");
  if (!response.ok) {
    document.querySelector("#list").replaceChildren(h("p", {}, `openapi.json could not be loaded: ${response.status}`));
    throw new Error(`openapi.json: ${response.status}`);
  }
  return response.json();
}

function resolved(value) {
  if (!value?.$ref) return value ?? {};
  const parts = value.$ref.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  return parts.reduce((at, part) => at[part], api);
}

// --- Schemas ------------------------------------------------------------------

/** A schema in a few words: `string (uuid) or null`. */
function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map(typeOf).join(" or ");
  const names = [schema.type ?? "anything"].flat().map((name) => (name === "array" ? `list of ${typeOf(schema.items ?? {})}` : name));
  return names.join(" or ") + limits(schema);
}

function limits(schema) {
  const from = schema.minLength ?? schema.minimum;
  const to = schema.maxLength ?? schema.maximum;
  const unit = schema.maxLength === undefined && schema.minLength === undefined ? "" : " characters";
  const range = from !== undefined && to !== undefined ? `${from} to ${to}${unit}` : from !== undefined ? `at least ${from}${unit}` : to !== undefined && `at most ${to}${unit}`;
  const told = [schema.format, range, schema.default !== undefined && `default ${JSON.stringify(schema.default)}`].filter(Boolean);
  return told.length ? ` (${told.join(", ")})` : "";
}

/** The fields of an object, or of the objects in a list; required ones first, as they were declared. */
function fields(schema, seen = []) {
  if (schema.$ref) {
    if (seen.includes(schema.$ref)) return undefined;
    return fields(resolved(schema), [...seen, schema.$ref]);
  }
  const choice = (schema.anyOf ?? []).find((choice) => choice.$ref);
  if (choice) return fields(choice, seen);
  if (schema.items) return fields(schema.items, seen);
  if (!schema.properties) return schema.description && h("div", {}, paragraphs(schema.description));
  const required = schema.required ?? [];
  return h("ul.fields", {}, inOrder(schema, Object.keys(schema.properties)).map((name) => {
    const property = schema.properties[name];
    const nested = property.$ref || property.items || property.anyOf ? fields(property, seen) : undefined;
    return field(name, property, required.includes(name), property.description, nested);
  }));
}

function field(name, schema, required, about, nested) {
  return h("li", {}, h("b", {}, name), h("span.type", {}, typeOf(schema)), required && h("span.required", {}, "required") || "",
    h("p", {}, inline(about ?? "")), nested);
}

function inOrder(schema, names) {
  const required = schema.required ?? [];
  const place = (name) => (required.includes(name) ? required.indexOf(name) : required.length);
  return [...names].sort((a, b) => place(a) - place(b));
}

/** An example with its fields in the order of its schema. */
function ordered(value, schema) {
  const known = resolved(schema ?? {});
  if (Array.isArray(value)) return value.map((item) => ordered(item, known.items));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(inOrder(known, Object.keys(value)).map((name) => [name, ordered(value[name], known.properties?.[name])]));
}

const shown = (example, schema) => (typeof example === "string" ? example : JSON.stringify(ordered(example, schema), null, 2));

// --- Operations ---------------------------------------------------------------

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** Only where TOKEN is set: in development a wrong credential is worse than none. */
const CREDENTIAL = '${TOKEN:+-H "Authorization: Bearer $TOKEN"}';

/** The operation's example as one line for a shell. */
function curl(method, path, operation) {
  const parameters = (operation.parameters ?? []).filter((parameter) => parameter.in === "path");
  const filled = parameters.reduce((url, { name, example }) => url.replace(`{${name}}`, encodeURIComponent(example)), path);
  const body = operation.requestBody?.content["application/json"];
  const streams = Object.values(operation.responses).some((response) => resolved(response).content?.["text/event-stream"]);
  return [
    "curl", streams && "-N", method !== (body ? "post" : "get") && `-X ${method.toUpperCase()}`,
    quoted(location.origin + filled), operation["x-access"] !== "public" && CREDENTIAL,
    body && `-H 'Content-Type: application/json' -d ${quoted(JSON.stringify(ordered(body.example, body.schema)))}`,
  ].filter(Boolean).join(" ");
}

function copyable(text) {
  const button = h("button", { type: "button", "aria-label": "Copy", onclick: copy }, "Copy");
  async function copy() {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  }
  return h("div.copyable", {}, block(text), button);
}

/** A block that scrolls, which the keyboard must be able to reach. */
const block = (text) => h("pre", { tabindex: "0" }, h("code", {}, text));

function responseOf(status, declared) {
  const response = resolved(declared);
  const headers = Object.entries(response.headers ?? {});
  const [first, ...more] = paragraphs(response.description);
  return h("details.response", {},
    h("summary", {}, h(`span.status${status >= 400 ? ".failure" : ""}`, {}, status), h("span", {}, [...(first?.childNodes ?? [])], more.length ? " …" : "")),
    more,
    headers.length ? h("ul.fields", {}, headers.map(([name, header]) => field(name, resolved(header).schema ?? {}, resolved(header).required, resolved(header).description))) : "",
    Object.entries(response.content ?? {}).map(([type, content]) => {
      const examples = content.examples ? Object.values(content.examples).map(({ value }) => value) : [content.example];
      return h("div", {}, h("h3", {}, type), fields(content.schema), examples.filter((example) => example !== undefined).map((example) => block(shown(example, content.schema))));
    }),
    links(response.links));
}

function links(links) {
  if (!links) return "";
  const targets = Object.values(links).map(({ operationId }) => h("a", { href: `#${operationId}` }, operationId));
  return h("p", {}, "Then: ", targets.flatMap((target, i) => (i ? [", ", target] : [target])));
}

function operationOf(method, path, operation) {
  const details = h(`details.operation.${method}`, { id: operation.operationId },
    h("summary", {}, h("span.method", {}, method.toUpperCase()), h("span.path", {}, path), h("span.what", {}, operation.summary), h("span.access", { title: "Who may use it" }, operation["x-access"])));
  const text = [method, path, operation.operationId, operation.summary, operation.description, operation["x-access"]].join(" ").toLowerCase();
  FILTERABLE.set(details, text);
  // The inside is drawn when somebody looks.
  details.addEventListener("toggle", () => details.open && !details.querySelector(".inside") && details.append(inside(method, path, operation)));
  return details;
}

function inside(method, path, operation) {
  const parameters = operation.parameters ?? [];
  const body = operation.requestBody?.content["application/json"];
  return h("div.inside", {},
    paragraphs(operation.description),
    copyable(curl(method, path, operation)),
    parameters.length ? [h("h3", {}, "Parameters"), h("ul.fields", {}, parameters.map((p) => field(p.name, p.schema, p.required, `${p.description} In the ${p.in}.`)))] : [],
    body ? [h("h3", {}, "Body"), fields(body.schema) ?? "", block(shown(body.example, body.schema))] : [],
    h("h3", {}, "Answers"),
    Object.entries(operation.responses).map(([status, response]) => responseOf(status, response)));
}

// --- The page -----------------------------------------------------------------

function draw() {
  document.querySelector("#version").textContent = api.info.version;
  document.querySelector("#about").replaceChildren(...paragraphs(api.info.description));
  const operations = Object.entries(api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ method, path, operation: item[method] })));
  const sections = api.tags.map(({ name, description }) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(name));
    return h("section", { id: `room-${name}` }, h("h2", {}, name), h("p", {}, inline(description)), own.map(({ method, path, operation }) => operationOf(method, path, operation)));
  });
  document.querySelector("#list").replaceChildren(...sections);
  document.querySelector("#rooms").replaceChildren(...api.tags.map(({ name }) => h("a", { href: `#room-${name}` }, name)));
}

function filter() {
  const words = document.querySelector("#filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const section of document.querySelectorAll("section")) {
    const operations = [...section.querySelectorAll("details.operation")];
    for (const operation of operations) operation.hidden = !words.every((word) => FILTERABLE.get(operation).includes(word));
    const found = operations.filter((operation) => !operation.hidden).length;
    section.hidden = found === 0;
    count += found;
  }
  document.querySelector("#count").textContent = `${count} operation${count === 1 ? "" : "s"}`;
}

function openNamed() {
  const operation = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (operation?.matches("details")) operation.open = true;
  operation?.scrollIntoView();
}

function theme() {
  const button = document.querySelector("#theme");
  const isDark = () => (document.documentElement.className || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const label = () => (button.textContent = isDark() ? "Light" : "Dark");
  document.documentElement.className = localStorage.getItem("theme") ?? "";
  label();
  button.addEventListener("click", () => {
    document.documentElement.className = isDark() ? "light" : "dark";
    localStorage.setItem("theme", document.documentElement.className);
    label();
  });
}

theme();
draw();
filter();
openNamed();
document.querySelector("#filter").addEventListener("input", filter);
addEventListener("hashchange", openNamed);
