// The documents match the code.

import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { document } from "./support/contract.js";
import { withRoutes } from "../scripts/api-docs.js";

const read = (path) => readFileSync(path, "utf8");
const pages = globSync(["*.md", "docs/*.md", "bench/*.md"]);

test("docs/api.md has the routes of public/openapi.json; `npm run docs` makes them", () => {
  const text = read("docs/api.md");
  assert.equal(withRoutes(text, document), text);
});

test("docs/configuration.md, .dev.vars.example and the code have the same variables", () => {
  const documented = [...read("docs/configuration.md").matchAll(/^\| (.+?) \|/gm)].flatMap(([, cell]) => [...cell.matchAll(/`([A-Z0-9_]+)`/g)]);
  const example = [...read(".dev.vars.example").matchAll(/^#?([A-Z][A-Z0-9_]+)=/gm)];
  // Files read variables through a `vars`. A name in capitals there is one of a variable, unless it is a pattern of a match or a binding's.
  const code = globSync("src/**/*.rs").map((path) => read(path).split("\nmod tests {")[0]).filter((text) => /\bvars\b/.test(text)).join("\n");
  const used = [...code.matchAll(/"([A-Z][A-Z0-9_]+)"(?!\s*(?:=>|\|))/g)];
  const bindings = new Set([...read("wrangler.toml").matchAll(/(?:binding|name) = "([A-Z_]+)"/g)].map(([, name]) => name));
  const names = (matches) => [...new Set(matches.map(([, name]) => name))].filter((name) => !bindings.has(name)).sort();
  assert.deepEqual(names(documented), names(example));
  assert.deepEqual(names(documented), names(used));
});

test("docs/testing.md names tests that there are", () => {
  const titles = globSync("tests/**/*.test.js").map(read).join("\n");
  const functions = globSync("crates/**/*.rs").map(read).join("\n");
  const tables = [...read("docs/testing.md").matchAll(/^\|.*\|$/gm)].join("\n");
  const quoted = [...tables.matchAll(/"([^"]+)"/g)].map(([, title]) => title.replace(/ ?…$/, ""));
  const named = [...tables.matchAll(/`([a-z0-9]+(?:_[a-z0-9]+){3,})`/g)].map(([, name]) => name);
  assert.ok(quoted.length > 20 && named.length > 5);
  assert.deepEqual([quoted.filter((title) => !titles.includes(`test("${title}`)), named.filter((name) => !functions.includes(`fn ${name}(`))], [[], []]);
});

test("the README has at most 1,000 words", () => {
  assert.ok(read("README.md").split(/\s+/).length <= 1000);
});

for (const page of pages) {
  test(`every link of ${page} to this repository leads somewhere`, () => {
    const links = [...read(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)];
    const broken = links.filter(([, path, heading]) => {
      const target = path ? join(dirname(page), path) : page;
      return !existsSync(target) || (heading && !headings(read(target)).includes(heading));
    });
    assert.deepEqual(broken.map(([link]) => link), []);
  });
}

/** The anchors that GitHub gives to the headings of a page. */
function headings(text) {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading.toLowerCase().replace(/[^\w\- ]/g, "").replaceAll(" ", "-"));
}
