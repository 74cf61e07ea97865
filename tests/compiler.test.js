// The compiler alone: hostile sources end in a response, and do not affect the
// next project; code that npm will build is checked.

import assert from "node:assert/strict";
import { test } from "node:test";
import { startCompiler } from "./support/compiler.js";

const { compile, check } = await startCompiler();
const PAGE = '<!doctype html><body><script type="module" src="/src/main.ts"></script>';
const many = (count, file) => Object.fromEntries(Array.from({ length: count }, (_, n) => file(n)));

const HOSTILE = {
  "a line of 5 MB": { "src/main.ts": `export const a = "${"x".repeat(5_000_000)}"; console.log(a)` },
  "100,000 imports that lead nowhere": { "src/main.ts": Array.from({ length: 100_000 }, (_, n) => `import "./m${n}";`).join("\n") },
  "100,000 imports of packages": { "src/main.ts": Array.from({ length: 100_000 }, (_, n) => `import "p${n}";`).join("\n") },
  "10,000 modules": { "src/main.ts": "import './m0'", ...many(10_000, (n) => [`src/m${n}.ts`, n < 9_999 ? `import "./m${n + 1}"; export const a${n} = ${n};` : "import './m0'"]) },
  "brackets beyond all measure": { "src/main.ts": "(".repeat(100_000) },
  "JSON beyond all measure": { "src/main.ts": "import a from './a.json'; console.log(a)", "src/a.json": "[".repeat(200_000) },
  "styles beyond all measure": { "src/main.ts": "import './a.css'", "src/a.css": "a{".repeat(100_000) },
  "a sheet for Tailwind beyond all measure": { "src/main.ts": "import './a.css'", "src/a.css": `@import "tailwindcss";${"a{".repeat(20_000)}` },
  "a page beyond all measure": { "index.html": `${"<div>".repeat(100_000)}<script type=module src=/src/main.ts></script>`, "src/main.ts": "1" },
  "words that no expression likes": { "src/main.ts": `import './a.css'; /* ${"import ( ".repeat(20_000)}${"`${".repeat(5_000)} */`, "src/a.css": `@import "tailwindcss"; /* ${"url(".repeat(20_000)} */`, "x.html": "<".repeat(50_000) },
  "a configuration that extends itself": { "tsconfig.json": '{"extends":"./tsconfig.json"}', "src/main.ts": "1" },
  "namespaces, maps of sources and forgotten files without number": { "src/main.ts": Array.from({ length: 50_000 }, (_, n) => `namespace a${n} {}`).join("\n"), ...many(2_000, (n) => [`public/${n}.js.map`, "{}"]), ...many(2_000, (n) => [`f${n}.svg`, "sourceMappingURL=".repeat(20)]) },
  "a configuration of functions without end": { "src/main.ts": "import './a.css'", "src/a.css": "@tailwind base;", "tailwind.config.js": "const f = (x) => [f(x), f(x)]; const g = (x) => [...h(x), ...h(x)]; const h = (x) => [...i(x), ...i(x)]; const i = () => [1]; module.exports = { theme: f(1), plugins: [g(1)] }" },
  "a configuration that is nested beyond all measure": { "src/main.ts": "import './a.css'", "src/a.css": "@tailwind base;", "tailwind.config.js": `module.exports = ${"[".repeat(50_000)}` },
  "mixins of Less without end": { "src/main.ts": "import './a.less'", "src/a.less": ".l(@n) when (@n > 0) { .l(@n + 1) } .a { .l(1) }" },
  "Solid's elements beyond all measure": { "package.json": '{"dependencies":{"solid-js":"1"}}', "src/main.ts": "import './a'", "src/a.tsx": "<a>".repeat(20_000) },
  "sheets that import each other": { "src/main.ts": "import './a.css'", "src/a.css": '@import "tailwindcss"; @import "./b.css";', "src/b.css": '@import "./a.css"; b{}' },
};

for (const [name, files] of Object.entries(HOSTILE)) {
  test(`${name} end in an answer within seconds, and the next project is compiled`, async () => {
    const began = Date.now();
    const { outcome } = await compile({ "index.html": PAGE, ...files });
    assert.ok(["site", "wrong", "broken", "plain"].includes(outcome), outcome);
    assert.ok(Date.now() - began < 30_000, `${outcome} after ${Date.now() - began} ms`);
    const next = await compile({ "index.html": PAGE, "src/main.ts": `console.log(${JSON.stringify(name)} as string)` });
    assert.equal(next.outcome, "site", JSON.stringify(next.diagnostics));
  });
}

test("projects that are compiled at once do not see each other", async () => {
  const answers = await Promise.all(Array.from({ length: 6 }, (_, n) => compile({ "index.html": PAGE, "src/main.ts": `import { own } from './own'; console.log(own)`, "src/own.ts": `export const own = "of ${n}"` })));
  answers.forEach(({ site }, n) => assert.match(Object.values(site).join(), new RegExp(`of ${n}\\b`)));
});

test("what an import says behind a question mark or a hash, and a folder by its package.json's main, lead to the file", async () => {
  const answer = await compile({
    "index.html": PAGE,
    "src/main.ts": "import './a.css?v=2'; import d from './data.json?x#y'; import { n } from './m?x=1'; import { o } from './m.ts?v=3'; import { f } from './pkg'; import { g } from '../lib'; console.log(d, n, o, f, g)",
    "src/a.css": ".a{color:red}", "src/data.json": '{"word":"data"}', "src/m.ts": "export const n = 'module', o: string = 'other'",
    "src/pkg/package.json": '{"main":"./deep/f.js"}', "src/pkg/deep/f.js": "export const f = 'main'",
    "lib/package.json": '{"module":"./g.ts","main":"./no.js"}', "lib/g.ts": "export const g: string = 'field'",
  });
  assert.equal(answer.outcome, "site", JSON.stringify(answer.diagnostics));
  const all = Object.values(answer.site).join("\n");
  for (const word of ["color:red", '"data"', '"module"', '"other"', '"main"', '"field"']) assert.ok(all.includes(word), `${word} in ${all}`);
});

test("apostrophes, brackets in comments and templates count for no nesting", async () => {
  const lines = Array.from({ length: 700 }, (_, n) => `{ok && <p>it's question ${n} (</p>} {/* don't :( { */}`).join("\n");
  const { outcome, diagnostics } = await compile({ "index.html": PAGE, "src/main.ts": "import './a'", "src/a.tsx": `/* :( :( */ declare const ok: boolean; document.title = \`((((\${ok}{{{\`; console.log(<>${lines}</>)` });
  assert.equal(outcome, "site", JSON.stringify(diagnostics));
});

test("an import of data counts as a browser's request only if its own attributes say so", async () => {
  const page = '<!doctype html><script type="module" src="a.js"></script>', data = { "d.json": '{"x":1}', "s.css": "a{color:red}" };
  for (const source of ["const o = { type: 'x' }; import d from './d.json'; console.log(d, o)", "import d from './d.json' with { type: 'json' }; import './s.css'; console.log(d)", "const d = await import('./d.json'), type = { type: 1 }; console.log(d, type)"]) {
    assert.equal((await compile({ "index.html": page, "a.js": source, ...data })).outcome, "site", source);
  }
  for (const source of ["import d from './d.json' with { type: 'json' }; console.log(d)", "import s from './s.css' with { 'type': 'css' }; document.adoptedStyleSheets = [s]", "const d = await import('./d.json', { with: { type: 'json' } }); console.log(d)"]) {
    assert.equal((await compile({ "index.html": page, "a.js": source, ...data })).outcome, "plain", source);
  }
});

const checked = async (files) => (await check(files)).map(({ path, line, column, message }) => `${path}:${line}:${column} ${message}`);

test("what npm is to build is checked: syntax, imports, exports, each at its place", async () => {
  const told = await checked({
    "package.json": '{"dependencies":{"react":"18.3.1"}}',
    "a.tsx": "\nimport a from './nowhere'", "b.ts": "import 'react'; import 'lodash'", "c.ts": "const a = ;",
    "d.cjs": "const { x } = require('x'); module.exports = x; return", "e.d.ts": "import 'nothing'", "f.css": "import 'nothing'",
    "g.ts": "import type { T } from './gone'; export type U = T",
  });
  assert.equal(told[0], 'a.tsx:2:15 cannot find "./nowhere": there is no nowhere; write it, or import what there is');
  assert.match(told[1], /^b\.ts:1:24 "lodash" is not in package\.json/);
  assert.match(told[2], /^c\.ts:1:11 Unexpected ";"/);
  assert.match(told[3], /^d\.cjs:1:23 "x" is not/);
  assert.match(told[4], /^g\.ts:1:24 cannot find "\.\/gone"/);
  assert.equal(told.length, 5, told.join("\n"));
  assert.match((await checked({ "a.ts": "import { nope } from './b'; nope()", "b.ts": "export const yes = 1" }))[0], /^a\.ts:1:10 b\.ts does not export "nope": it exports yes/);
});

const APPLICATION = {
  "package.json": '{"name":"app","dependencies":{"next":"1","react":"1","@a/b":"1","@acme/kit":"1"},"optionalDependencies":{"optional":"1"},"imports":{"#x/*":"./x/*"}}',
  "tsconfig.json": '{ /* Next.js */ "compilerOptions": { "baseUrl": ".", "paths": { "@/*": ["./src/*"], "config": ["./src/config.ts"], "@acme/*": ["./packages/*"], "*": ["./vendor/*"], }, }, }',
  "src/app/layout.tsx": "", "src/app/page.module.css": "", "src/ui/index.ts": "", "src/ui/Button.tsx": "", "src/config.ts": "", "src/data.json": "{}",
  "src/types.d.ts": "", "src/models/index.d.ts": "", "public/logo.svg": "", "vendor/shim.ts": "",
};
const importing = (specifier) => checked({ ...APPLICATION, "src/app/page.tsx": `import "${specifier}"` });

test("imports lead to files, packages and Node", async () => {
  for (const specifier of [
    "./page.module.css", "../ui", "../ui/", "../ui/Button", "../ui/Button.js", "../data.json", "../data", "../types", "../types.js", "@/models", "../../public/logo.svg?url",
    "/logo.svg", "/src/config", "@/ui/Button", "config", "shim", "src/ui", "react", "react/jsx-runtime", "next/navigation", "@a/b/c", "fs", "node:fs/promises", "path/posix",
    "server-only", "node:test", "punycode", "@acme/kit", "optional", "#x/y", "cloudflare:workers", "./generated/client", "./+types/page",
  ]) assert.deepEqual(await importing(specifier), [], specifier);
});

test("an import that leads nowhere is reported with what to do", async () => {
  for (const [specifier, part] of [
    ["./missing", "there is no src/app/missing"], ["../ui/button", "did you mean src/ui/Button.tsx?"], ["@/ui/Card", "there is no src/ui/Card"],
    ["../../../etc/passwd", "leads out of the project"], ["/etc/passwd", "there is no etc/passwd"], ["lodash/fp", 'add "lodash" to its dependencies'], ["@a/c/d", 'add "@a/c" to its dependencies'],
    ["./page.css", "there is no src/app/page.css; write it"], ["sqlite", 'add "sqlite"'], ["~/ui", 'no alias says what "~/"'], ["#y/z", 'no alias says what "#y/"'],
    ["node:nothing", "no module of Node.js"], ["https://esm.sh/react", "name it in package.json"], ["", "names nothing"],
  ]) {
    const told = await importing(specifier);
    assert.ok(told.length === 1 && told[0].includes(part), `${specifier}: ${told}`);
  }
});

const HOOK = "import { useState } from 'react'\nexport default function A() { return <p>{useState(0)}</p> }";
const next = (files) => checked({ "package.json": '{"dependencies":{"next":"14.2.0","react":"18.3.1"}}', "tsconfig.json": '{"compilerOptions":{"jsx":"preserve","paths":{"@/*":["./*"]}}}', ...files });

test("a hook in a server component is reported at its import, and a client component is left alone", async () => {
  for (const files of [
    { "app/page.tsx": HOOK }, { "src/app/(shop)/[id]/page.tsx": HOOK }, { "app/page.tsx": "import * as React from 'react'; export default () => <p>{React.useRef(0)}</p>" },
    { "app/layout.jsx": "import { usePathname as where } from 'next/navigation'" }, { "app/page.tsx": "import A from '../components/a'; A()", "components/a.tsx": HOOK },
    { "app/page.tsx": "import { A } from '@/components'; export default () => <A/>", "components/index.ts": "export { default as A } from './a'", "components/a.tsx": HOOK },
  ]) {
    const told = await next(files);
    assert.ok(told.length === 1 && /:1:\d+ uses `use.*'use client'/.test(told[0]), told.join("\n"));
  }
  for (const files of [
    { "app/page.tsx": "/* a */ 'use client'\nimport { useState } from 'react'" }, { "components/nobody-imports-it.tsx": HOOK }, { "pages/index.tsx": HOOK },
    { "app/page.tsx": "import A from '@/components/a'; A()", "components/a.tsx": "'use client'\nimport B from './b'; export default B", "components/b.tsx": HOOK },
    { "app/page.tsx": "import type { A } from '../components/a'", "components/a.tsx": HOOK },
    { "app/page.tsx": "import { Todo } from '../use-todos'; export const todos: Todo[] = []", "use-todos.tsx": `${HOOK}; export interface Todo {}` },
    { "app/page.tsx": "import { cache, type Component } from 'react'; import { redirect } from 'next/navigation'" },
  ]) assert.deepEqual(await next(files), [], Object.keys(files).join());
});

test("an error boundary needs the browser, and metadata the server", async () => {
  assert.deepEqual(await next({ "app/error.tsx": "export default function E() {}", "app/a/error.tsx": "'use client'" }), ["app/error.tsx:1:1 is shown by the browser: begin the file with 'use client'"]);
  for (const text of ["export const metadata = {}", "export async function generateMetadata() {}"]) {
    assert.deepEqual(await next({ "app/page.tsx": text }), []);
    assert.match((await next({ "app/page.tsx": `'use client'\n${text}` })).join(), /^app\/page\.tsx:2:\d+ exports metadata/);
  }
});
