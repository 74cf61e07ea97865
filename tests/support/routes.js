// The table of src/routes.rs, read from public/openapi.json, which `cargo test`
// compares with the code. Tests of every route therefore include a new one
// without naming it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const { paths } = JSON.parse(await readFile("public/openapi.json", "utf8"));

/**
 * Every row: `{access, method, pattern, hosted, readsBody}`, the access rule as src/routes.rs writes it, `readsBody` where
 * there must be one; the fleet's twice, the second time with `under: "/api/v1"`, which is in the pattern too.
 */
export const ROUTES = Object.entries(paths).flatMap(([pattern, item]) =>
  Object.entries(item).flatMap(([method, operation]) =>
    (operation.servers ?? [{ url: "/" }]).map(({ url }) => {
      const under = url.replace(/\/$/, "");
      const hosted = pattern.startsWith("/p/");
      const readsBody = operation.requestBody?.required === true;
      return { access: rule(operation["x-access"]), method: method.toUpperCase(), pattern: under + pattern, under, hosted, readsBody };
    }),
  ),
);
assert.ok(ROUTES.filter(({ under }) => !under).length > 60 && ROUTES.some(({ under }) => under), "not every row was read");

/** `scope projects:write, or the operator` → `ScopeOrOperator(ProjectsWrite)` */
function rule(access) {
  const [, scope, operator] = access.match(/^scope ([a-z:]+)(, or the operator)?$/) ?? [];
  const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);
  if (!scope) return capital(access);
  return `${operator ? "ScopeOrOperator" : "Scope"}(${scope.split(":").map(capital).join("")})`;
}

export const named = (route) => `${route.method} ${route.pattern}`;

/** The row of the table, under any prefix. */
export const rowOf = (route) => `${route.method} ${route.pattern.slice(route.under.length)}`;

/** A route's path with these values in place of its parameters. */
export const pathOf = (route, id) => route.pattern.replace(/\{.+?\}/g, id);

/** Whether a route takes OpenAI's or Anthropic's bodies, which allow more than ours, such as a member twice. */
export const isVendors = (route) => /^\/(v1\/(chat|responses|messages|completions|embeddings|moderations)|chat\/)/.test(route.pattern);
