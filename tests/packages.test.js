// Packages: from the CDN by an import map, or in the app's own bundles. Their
// exports are checked before anything goes live, and unchanged projects are not
// compiled again.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, describe, test } from "node:test";
import { inBrowser, startBrowser } from "./support/browser.js";
import { startCompiler } from "./support/compiler.js";
import { deployments } from "./support/deployments.js";
import { startEsmCdn } from "./fakes/esm-cdn.js";
import { startWorker } from "./support/harness.js";

const cdn = await startEsmCdn({
  "preact10@1.0.0": "export const wrong = 'a stranger'", "real-preact@10.25.0": "export const h = 'right'", "left@<2": "export const left = 1",
  "swiper@11.0.0": "export const Swiper = 'swiper'", "swiper@11.0.0/css": "/* css */ .swiper { color: rgb(7, 7, 7); background: url(dot.svg) }", "swiper@11.0.0/css/pagination": "/* css */ .dots { color: rgb(8, 8, 8) }", "swiper@11.0.0/dot.svg": "<svg/>", "swiper@11.0.0/css/dot.svg": "<svg/>",
  "three@0.170.0": "export class Mesh {}", "@react-three/fiber@9.0.0": "import { Mesh } from 'three'; export const isMesh = (m) => m instanceof Mesh;", "@react-three/drei@10.0.0": "import { Mesh } from 'three'; import '@react-three/fiber'; export const made = new Mesh();",
  "icons@1.0.0": "export * from '/icons@1.0.0/all.mjs'", "icons@1.0.0/all.mjs": `export const Home = 1, Button = 2; ${Array.from({ length: 30 }, (_, n) => `export const Icon${n} = ${n};`).join("")}`,
  "open@1.0.0": "export * from 'https://nowhere.invalid/x.mjs'", "of-node@1.0.0": "import 'node:fs'; export const a = 1", "huge@1.0.0": `export const a = ${"1+".repeat(4_500_000)}1`,
});
after(() => cdn.stop());
const { compile } = await startCompiler({ cdn: cdn.url });
const hatch = await startWorker({ ESM_CDN_URL: cdn.url });
const { project, live } = deployments(hatch);
const browser = await startBrowser();
after(() => browser?.stop());

const version = async (name) => JSON.parse(await readFile(`node_modules/${name}/package.json`, "utf8")).version;
const PAGE = '<!doctype html><body><b class="swiper"></b><b class="dots"></b><div id=root></div><script type="module" src="/src/main.tsx"></script>';
const app = (main, dependencies) => ({ "index.html": PAGE, "package.json": JSON.stringify({ dependencies }), "src/main.tsx": main });
const importMap = ({ site }) => JSON.parse(site["index.html"].match(/<script type="importmap">([^<]+)/)[1]).imports;
const script = ({ site }) => Object.entries(site).filter(([path]) => path.endsWith(".js")).map(([, text]) => text).join("\n");
const sheet = ({ site }) => Object.entries(site).filter(([path]) => path.endsWith(".css")).map(([, text]) => text).join("\n");

describe("the import map", () => {
  test("an alias of npm and a range with an upper bound name what npm would take", async () => {
    const site = await compile(app("import { h } from 'preact10'; import { left } from 'left'; console.log(h, left)", { preact10: "npm:real-preact@10.25.0", left: "<2" }));
    assert.equal(site.outcome, "site", JSON.stringify(site.diagnostics));
    assert.match(importMap(site).preact10, /\/real-preact@10\.25\.0\?/);
    assert.match(importMap(site).left, /\/left@%3C2\?/);
  });
  test("a peer that only packages import is there once, in the version of package.json", async () => {
    const site = await compile(app("import { isMesh } from '@react-three/fiber'; import { made } from '@react-three/drei'; document.body.append(isMesh(made))", { three: "0.170.0", "@react-three/fiber": "9.0.0", "@react-three/drei": "10.0.0" }));
    const map = importMap(site);
    assert.match(map.three, /\/three@0\.170\.0/);
    for (const name of ["fiber", "drei"]) assert.match(map[`@react-three/${name}`], /[?,=]three(,|$)/);
  });
  test("a package's style without .css in its name is a style sheet", inBrowser, async () => {
    const files = app("import { Swiper } from 'swiper'; import 'swiper/css'; import 'swiper/css/pagination'; const c = (s: string) => getComputedStyle(document.querySelector(s)!).color; document.body.append(`${Swiper} ${c('.swiper')} ${c('.dots')}`)", { swiper: "11.0.0" });
    const { url, logs, status } = await live((await project(files)).id);
    assert.equal(status, "live", logs);
    assert.deepEqual(await browser.open(url), { value: "swiper rgb(7, 7, 7) rgb(8, 8, 8)", errors: [] });
  });
});

describe("names of packages", () => {
  const told = async (main, dependencies = { icons: "1.0.0" }) => (await compile(app(main, dependencies))).diagnostics?.map(({ path, line, column, message }) => `${path}:${line}:${column} ${message}`);
  test("one that is not exported fails at its place, with the nearest one", async () => {
    assert.deepEqual(await told("import { Home } from 'icons';\nimport { Buttn } from 'icons';\nconsole.log(Home, Buttn)"), ['src/main.tsx:2:10 "icons" does not export "Buttn": it exports 32 other names; did you mean "Button"?']);
  });
  test("a default that is not there, and a name that a barrel passes on, fail too", async () => {
    assert.deepEqual(await told("import Icons from 'icons'; console.log(Icons)"), ['src/main.tsx:1:8 "icons" has no default export: it exports 32 other names']);
    assert.match((await told("export { Gone as A } from 'icons'"))[0], /^src\/main\.tsx:1:10 "icons" does not export "Gone"/);
  });
  test("types, namespaces, CommonJS and what cannot be had are not refused", async () => {
    for (const [main, dependencies] of [
      ["import { Home, IconType } from 'icons'; const a: IconType = Home; console.log(a)"], ["import * as all from 'icons'; console.log(all.Gone)"], ["const { Gone } = await import('icons'); console.log(Gone)"],
      ["import React, { useState, type FC, ReactNode } from 'react'; import { createRoot } from 'react-dom/client'; const a: FC<{ b: ReactNode }> = () => null; console.log(React, useState, createRoot, a)", { react: await version("react"), "react-dom": await version("react-dom") }],
      ["import { any } from 'open'; console.log(any)", { open: "1.0.0" }], ["import { any } from 'gone'; console.log(any)", { gone: "1.0.0" }],
    ]) assert.equal(await told(main, dependencies), undefined, main);
  });
});

describe("bundle: true", () => {
  const react = async () => ({ react: await version("react"), "react-dom": await version("react-dom"), zustand: await version("zustand"), swiper: "11.0.0" });
  const MAIN = "import 'swiper/css'; import { create } from 'zustand'; import { useState } from 'react'; import { createRoot } from 'react-dom/client'; const useN = create<{ n: number }>()(() => ({ n: 1 })); function App() { const { n } = useN(); const [m] = useState(2); return <p>{n + m}</p> } createRoot(document.getElementById('root')!).render(<App/>)";
  test("packages are in the app's own files, and no CDN is needed", inBrowser, async () => {
    const { id } = await project({ ...app(MAIN, await react()) });
    const { url, status, logs } = await live(id, { bundle: true });
    assert.equal(status, "live", logs);
    assert.match(logs, /with 3 packages from http\S+, bundled/);
    const page = await (await hatch.worker.fetch(url)).text();
    assert.doesNotMatch(page, /importmap/);
    const before = cdn.asked.length;
    for (const road of [url, `${hatch.url}/p/${new URL(url).hostname.split(".")[0]}/`]) assert.deepEqual(await browser.open(road), { value: "3", errors: [] });
    assert.equal(cdn.asked.length, before, "the browser asked the CDN");
    const again = await (await hatch.api("POST", `/api/deploy/${(await deployments(hatch).live(id, { bundle: true })).id}/rollback`)).json();
    assert.match((await deployments(hatch).ended(again.deploymentId)).logs, /bundled/);
  });
  test("each package is there once, and a sheet brings what it shows", async () => {
    const site = await compile(app("import 'swiper/css'; import { isMesh } from '@react-three/fiber'; import { made } from '@react-three/drei'; import { Mesh } from 'three'; document.body.append(isMesh(made), Mesh)", { three: "0.170.0", "@react-three/fiber": "9.0.0", "@react-three/drei": "10.0.0", swiper: "11.0.0" }), { bundle: true });
    assert.equal(site.outcome, "site", JSON.stringify(site.diagnostics));
    assert.equal(script(site).match(/\bclass\b/g)?.length, 1);
    assert.doesNotMatch(script(site) + site.site["index.html"], /https?:/);
    assert.match(sheet(site), /url\((")?data:image\/svg\+xml/);
  });
  for (const [name, dependencies, main, part] of [
    ["one that the CDN does not have", { gone: "1.0.0" }, "import 'gone'", /src\/main\.tsx:1:8 "gone" cannot be bundled: the CDN answers 404 for \S+gone@1\.0\.0/],
    ["one that needs Node", { "of-node": "1.0.0" }, "import 'of-node'", /the package "of-node@1\.0\.0" needs "node:fs", a module of Node\.js/],
    ["one beyond all measure", { huge: "1.0.0" }, "import { a } from 'huge'; console.log(a)", /"huge" cannot be bundled/],
    ["a name that is not exported", { icons: "1.0.0" }, "import { Buttn } from 'icons'; console.log(Buttn)", /src\/main\.tsx:1:10 "icons@1\.0\.0" does not export "Buttn"; did you mean "Button"\?/],
  ]) {
    test(`${name} fails, and is named`, async () => {
      const { outcome, diagnostics } = await compile(app(main, dependencies), { bundle: true });
      assert.equal(outcome, "wrong");
      assert.match(diagnostics.map(({ path, line, column, message }) => `${path}:${line}:${column} ${message}`).join("\n"), part);
    });
  }
});

describe("what is served", () => {
  test("of a compiled app is what vite build would put out, and the log says what else was there", async () => {
    const { site, notes } = await compile({
      "index.html": '<!doctype html><link rel="icon" href="/icon.svg"><script type="module" src="/src/main.ts"></script>', "src/main.ts": "import data from './data.json'; import logo from './logo.svg'; console.log(data, logo)",
      "icon.svg": "<svg/>", "src/data.json": '{"a":1}', "src/logo.svg": "<svg>1</svg>", "forgotten.json": "{}", "README.md": "#", ".well-known/security.txt": "x", ".env": "A=1",
      "public/robots.txt": "x", "public/.env": "A=1", "public/lib.js": "1 //# sourceMappingURL=lib.js.map", "public/lib.js.map": "{}", "public/other.js.map": "{}",
    });
    assert.deepEqual(Object.keys(site).map((path) => path.replace(/-\w+(?=\.)/, "-H")), [".well-known/security.txt", "assets/icon-H.svg", "assets/logo-H.svg", "assets/main-H.js", "index.html", "lib.js", "lib.js.map", "robots.txt"]);
    assert.match(notes.join("\n"), /Not served, because nothing refers to it and it is not in public\/: forgotten\.json/);
  });
});

describe("what was compiled once", () => {
  test("is not compiled again when another isolate is asked, until something changes", async () => {
    const own = await startCompiler({ cdn: cdn.url });
    const files = app("import { Home } from 'icons'; console.log(Home)", { icons: "1.0.0" });
    const asked = () => cdn.asked.filter((url) => url.startsWith("/icons@1.0.0")).length;
    const first = await own.compile(files), before = asked();
    const { SITES } = await own.env();
    const { keys } = await SITES.list();
    assert.equal(keys.length, 1);
    assert.match(keys[0].name, /^[0-9a-f]{64}$/);
    assert.ok(keys[0].expiration * 1000 > Date.now() + 6 * 24 * 3_600_000);
    // The response comes from the cache: a change there shows.
    await SITES.put(keys[0].name, JSON.stringify({ outcome: "site", files: [["index.html", "kept"]], notes: [] }));
    await own.restart();
    assert.equal((await own.compile(files)).site["index.html"], "kept");
    assert.equal(asked(), before);
    const changed = await own.compile({ ...files, "src/main.tsx": "console.log(2)" });
    assert.match(script(changed), /console\.log\(2\)/);
    assert.match(script(await own.compile(files, { bundle: true })), /console\.log/);
    assert.equal(first.outcome, "site");
  });
});
