// `npm run docs`: generates the routes of docs/api.md from public/openapi.json.

import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const FILE = "docs/api.md";
const [BEGIN, END] = ["<!-- made by scripts/api-docs.js -->\n", "<!-- end -->"];

/** docs/api.md with the routes of the document between its two marks. */
export function withRoutes(text, document) {
  const [before, rest] = text.split(BEGIN);
  const [, after] = rest.split(END);
  return `${before}${BEGIN}${routes(document)}${END}${after}`;
}

function routes(document) {
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method: method.toUpperCase(), ...operation })));
  return document.tags.map(({ name, description }) => {
    const rows = operations.filter(({ tags }) => tags.includes(name)).map((operation) => row(document, operation));
    return `\n### ${name}\n\n${description}\n\n| route | what it does | access | request | response |\n|---|---|---|---|---|\n${rows.join("\n")}\n`;
  }).join("") + "\n";
}

function row(document, { method, path, summary, description, "x-access": access, parameters = [], requestBody, responses }) {
  const queries = parameters.filter((parameter) => parameter.in === "query").map(({ name, required }) => optional(name, required));
  const query = queries.length ? `query: \`${queries.join("`, `")}\`` : "";
  const takes = [body(document, requestBody), query].filter(Boolean).join("; ");
  const does = [summary, description].filter(Boolean).join(". ");
  const cells = [`\`${method} ${path}\``, does, access, takes, statuses(document, responses)];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replace(/\s+/g, " ")).join(" | ")} |`;
}

const optional = (name, isRequired) => (isRequired ? name : `${name}?`);

/** The fields of a JSON body: `{name, description?}`. */
function body(document, requestBody) {
  if (!requestBody) return "";
  const { properties = {}, required = [] } = resolved(document, requestBody.content["application/json"].schema);
  return `\`{${Object.keys(properties).map((name) => optional(name, required.includes(name))).join(", ")}}\``;
}

/** The statuses of its successful responses. */
function statuses(document, responses) {
  return Object.entries(responses).filter(([status]) => Number(status) < 400).map(([status, response]) => {
    const [type] = Object.keys(resolved(document, response).content ?? {});
    return type && type !== "application/json" ? `${status} (${type})` : status;
  }).join(", ");
}

function resolved(document, value) {
  if (!value.$ref) return value;
  return value.$ref.split("/").slice(1).reduce((at, key) => at[key.replaceAll("~1", "/").replaceAll("~0", "~")], document);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(FILE, withRoutes(readFileSync(FILE, "utf8"), JSON.parse(readFileSync("public/openapi.json", "utf8"))));
}
