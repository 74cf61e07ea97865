// React and TypeScript go live: projects in Vite's form, compiled and opened in
// Chromium, with tests/fakes/esm-cdn.js as the CDN.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, test } from "node:test";
import { inBrowser, visit } from "./support/browser.js";
import { deployments } from "./support/deployments.js";
import { startEsmCdn } from "./fakes/esm-cdn.js";
import { startWorker } from "./support/harness.js";

const cdn = await startEsmCdn();
after(() => cdn.stop());
const hatch = await startWorker({ ESM_CDN_URL: cdn.url });
const { project, live, lines } = deployments(hatch);

const version = async (name) => JSON.parse(await readFile(`node_modules/${name}/package.json`, "utf8")).version;
const [react, reactDom, zustand] = await Promise.all(["react", "react-dom", "zustand"].map(version));

const MANIFEST = JSON.stringify({
  name: "shop",
  dependencies: { react: `^${react}`, "react-dom": `^${reactDom}`, zustand: `~${zustand}` },
  devDependencies: { tailwindcss: "^4.1.0", vite: "^6.0.0", typescript: "~5.6.2" },
});

/** A page of Vite's template with these modules. */
const vite = (files) => ({
  "index.html": `<!doctype html>
<html lang="en"><head><meta charset="UTF-8" /><title>Vite</title></head>
<body><div id="root"></div><script type="module" src="/src/main.tsx"></script></body></html>`,
  "package.json": MANIFEST,
  "vite.config.ts": `import { defineConfig } from "vite";\nexport default defineConfig({});`,
  "tsconfig.json": `{ "compilerOptions": { /* as Vite writes it */ "jsx": "react-jsx", "paths": { "@/*": ["./src/*"] }, } }`,
  "src/main.tsx": `import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import App from "./App";
import "./index.css";
createRoot(document.getElementById("root")!).render(<StrictMode><App /></StrictMode>);`,
  "src/index.css": `@import "tailwindcss";\n@theme { --color-brand: rgb(1, 2, 3); }`,
  ...files,
});

const SHOP = vite({
  ".env": "VITE_SHOP=Corner\nDATABASE_URL=postgres://secret",
  "public/logo.svg": `<svg xmlns="http://www.w3.org/2000/svg"/>`,
  "src/App.tsx": `import { lazy, Suspense, useEffect, useRef, useState, type ReactNode } from "react";
import { useCart } from "@/store/cart";
import { Badge } from "@/components";
import styles from "./App.module.css";
import items from "./items.json";
import logo from "/logo.svg";
import type { Item } from "./types";

const Details = lazy(() => import("./components/Details"));
const Frame = ({ children }: { children: ReactNode }) => <main className="p-4 text-brand">{children}</main>;

export default function App() {
  const [style, setStyle] = useState("");
  const box = useRef<HTMLDivElement>(null);
  const { count, add } = useCart();
  useEffect(() => { add(2); }, []);
  useEffect(() => {
    const { paddingTop, color } = getComputedStyle(box.current!.parentElement!);
    const own = getComputedStyle(box.current!).letterSpacing;
    setStyle([paddingTop, color, own].join(" | "));
  }, []);
  return (
    <Frame>
      <div ref={box} className={styles.box}>{import.meta.env.VITE_SHOP} {import.meta.env.MODE} {import.meta.env.BASE_URL}</div>
      <img src={logo} alt={(items as Item[]).map(({ name }) => name satisfies string).join("+")} />
      <Badge count={count} />
      <Suspense fallback="loading"><Details node={process.env.NODE_ENV} /></Suspense>
      <output>{style}</output>
    </Frame>
  );
}`,
  "src/types.ts": `export interface Item { name: string }\nexport enum Size { Small = "small" }`,
  "src/items.json": `[{ "name": "apple" }, { "name": "pear" }]`,
  "src/App.module.css": `.box { letter-spacing: 3px }`,
  "src/store/cart.ts": `import { create } from "zustand";
interface Cart { count: number; add(n: number): void }
export const useCart = create<Cart>()((set) => ({ count: 0, add: (n) => set(({ count }) => ({ count: count < 2 ? count + n : count })) }));`,
  "src/components/index.ts": `export { default as Badge } from "./Badge";\nexport type { BadgeProps } from "./Badge";`,
  "src/components/Badge.tsx": `export interface BadgeProps { count: number }
export default function Badge({ count }: BadgeProps) { return <b id="badge">{count} in the cart</b>; }`,
  "src/components/Details.jsx": `import { Size } from "../types";
export default ({ node }) => <i id="details">{Size.Small} in {node}</i>;`,
});

const shop = await project(SHOP, "Shop");
const deployment = await live(shop.id);
const sandbox = `${hatch.url}/p/${new URL(deployment.url).hostname.split(".")[0]}/`;

test("a React project goes live, and its log says what was compiled", () => {
  assert.equal(deployment.status, "live", deployment.logs);
  assert.match(lines(deployment)[0], /^Compiled \d+ modules, with 3 packages from http:/);
  assert.match(lines(deployment)[1], /^Built \d+ files, \d+ bytes$/);
});

test("files that are not for the browser are not served", async () => {
  for (const path of ["package.json", "tsconfig.json", "vite.config.ts", ".env", "src/App.tsx", "src/types.ts"]) {
    assert.equal((await hatch.worker.fetch(new URL(path, deployment.url))).status, 404, path);
  }
  const page = await (await hatch.worker.fetch(deployment.url)).text();
  const scripts = [...page.matchAll(/(?:src|href)="(\/assets\/[^"]+\.js)"/g)].map(([, path]) => path);
  const code = await Promise.all(scripts.map(async (path) => (await hatch.worker.fetch(new URL(path, deployment.url))).text()));
  assert.match(code.join(), /Corner/);
  assert.doesNotMatch(code.join(), /secret/);
});

for (const [road, url, base] of [
  ["its own origin", deployment.url, "/"],
  ["a page of its own routing", new URL("products/7", deployment.url).href, "/"],
  ["/p/:slug/", sandbox, new URL(sandbox).pathname],
]) {
  test(`hooks, modules, styles and Tailwind work in the browser, on ${road}`, inBrowser, async () => {
    const { html, console } = await visit(url);
    const told = `${console}\n${html.slice(0, 8000)}`;
    assert.match(html, /<b id="badge">2 in the cart<\/b>/, told);
    assert.match(html, /<i id="details">small in production<\/i>/, told);
    assert.ok(html.includes(`>Corner production ${base}</div>`), told);
    assert.match(html, /alt="apple\+pear"/, told);
    assert.match(html, /<output>16px \| rgb\(1, 2, 3\) \| 3px<\/output>/, told);
    assert.doesNotMatch(console, /Uncaught|Failed to load/, told);
  });
}

test("each package comes once, at the version of package.json", inBrowser, () => {
  const asked = cdn.asked.filter((url) => url.startsWith(`/react@${react}`) || url.startsWith(`/react@`));
  assert.ok(asked.length > 0 && asked.every((url) => url.startsWith(`/react@${react}`)), asked.join("\n"));
  assert.ok(cdn.asked.some((url) => url === `/zustand@${zustand}?external=react,react-dom`), cdn.asked.join("\n"));
});

test("sixty modules that depend on each other work", inBrowser, async () => {
  const files = Object.fromEntries(Array.from({ length: 58 }, (_, n) => [
    `src/parts/Part${n}.tsx`,
    `import { useMemo } from "react";
${n < 57 ? `import { Part${n + 1} } from "./Part${n + 1}";` : `import { Part0 } from "./Part0";\nvoid (() => Part0);`}
export function Part${n}({ depth }: { depth: number }) {
  const text = useMemo<string>(() => \`\${depth}\`, [depth]);
  return <div data-depth={text}>${n < 57 ? `<Part${n + 1} depth={depth + 1} />` : "<em>the last of {depth}</em>"}</div>;
}`,
  ]));
  const { id } = await project(vite({
    ...files,
    "src/App.tsx": `import { Part0 } from "./parts/Part0";\nexport default () => <Part0 depth={1} />;`,
  }));
  const { url, status, logs } = await live(id);
  assert.equal(status, "live", logs);
  assert.match((await visit(url)).html, /<em>the last of 58<\/em>/);
});

test("a single component is an app", inBrowser, async () => {
  const { id } = await project({
    "package.json": MANIFEST,
    "src/App.jsx": `import { useReducer, useEffect } from "react";
export default function App() { const [n, add] = useReducer((n) => n + 1, 0); useEffect(() => { if (n < 3) add(); }, [n]); return <h1>counted to {n}</h1>; }`,
  });
  const { url } = await live(id);
  assert.match((await visit(url)).html, /<h1>counted to 3<\/h1>/);
});

/** The lines of a deployment that must fail. */
async function failing(files) {
  const { id } = await project(files);
  const deployment = await live(id);
  assert.equal(deployment.status, "failed", deployment.logs);
  assert.equal(deployment.url, null);
  assert.ok(!deployment.error.includes("\n"));
  return { error: deployment.error, log: lines(deployment).join("\n") };
}

test("a syntax error fails the deployment with file, line and a code frame", async () => {
  const { error, log } = await failing(vite({ "src/App.tsx": "export default function App() {\n  const x = ;\n  return <p>{x}</p>;\n}\n" }));
  assert.match(error, /^src\/App\.tsx:2:13: .+/);
  assert.match(log, /  1 \| export default function App\(\) \{\n> 2 \|   const x = ;\n    \|             \^\n  3 \|/);
});

test("all errors are reported at once: missing modules, unknown packages, modules of Node", async () => {
  const { error, log } = await failing(vite({
    "src/App.tsx": `import { Header } from "./components/header";
import _ from "lodash";
import { readFileSync } from "node:fs";
export default () => <Header x={_} y={readFileSync} />;`,
    "src/components/Header.tsx": "export const Header = () => <p>;",
  }));
  assert.match(error, /\(and 2 more errors, see the logs\)$/);
  assert.match(log, /src\/App\.tsx:1:24: cannot find ".\/components\/header".*did you mean src\/components\/Header\.tsx/);
  assert.match(log, /src\/App\.tsx:2:15: "lodash" is not in package\.json: add "lodash" to its dependencies/);
  assert.match(log, /src\/App\.tsx:3:30: "node:fs" is a module of Node\.js/);
});

test("extremely nested code fails its own deployment and no other", async () => {
  const hostile = ["(".repeat(100_000), "!".repeat(100_000) + "1", "<a>".repeat(30_000), "if(1)".repeat(50_000), "x=>".repeat(50_000), "[".repeat(590) + "]".repeat(590)];
  const neighbour = await project(vite({ "src/App.tsx": "export default () => <p>fine</p>" }));
  const ends = await Promise.all([
    ...hostile.map(async (source) => live((await project(vite({ "src/App.tsx": `${source}\nexport default 1` }))).id)),
    ...Array.from({ length: 3 }, () => live(neighbour.id)),
  ]);
  assert.deepEqual(ends.map(({ status }) => status), ["failed", "failed", "failed", "failed", "failed", "live", "live", "live", "live"], ends.map(({ error }) => error).join("\n"));
  for (const { error } of ends.slice(0, 5)) assert.match(error, /nested too deeply|Expected|Unexpected/);
});

test("as much code as a project may have is compiled", async () => {
  const line = (n) => `export const Part${n} = (props: { name: string }) => <p className='text-${n}'>{props.name}</p>; // of many\n`;
  const big = Array.from({ length: 420 }, (_, n) => line(n)).join("");
  const files = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`src/big${n}.tsx`, big]));
  const imports = Object.keys(files).map((path, n) => `import * as big${n} from "./${path.slice(4, -4)}";`).join("\n");
  const { id } = await project(vite({ ...files, "src/App.tsx": `${imports}\nexport default () => <p>{Object.keys(big0).length}</p>;` }));
  const { status, logs } = await live(id);
  assert.equal(status, "live", logs.slice(0, 2000));
});

test("a site that is too large to store fails with a reason", async () => {
  // Each is served twice: under the name of its content's hash, and as text.
  const files = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`src/${n}.txt`, `${n}`.repeat(96_000)]));
  const imports = Object.keys(files).map((path, n) => `import a${n} from "./${path.slice(4)}";\nimport b${n} from "./${path.slice(4)}?raw";`).join("\n");
  const { error } = await failing(vite({ ...files, "src/App.tsx": `${imports}\nexport default () => <p>{[${Object.keys(files).map((_, n) => `a${n}, b${n}`)}]}</p>;` }));
  assert.match(error, /more than 1\.9 MB/);
});

test("a plain site is served byte for byte, without its manifest", async () => {
  const files = {
    "index.html": "<!DOCTYPE html>\r\n<div id=app></div>\t<script type=module src=app.js></script>\n\n",
    "app.js": "import { x } from './lib/x.js'\nconsole.log( x )",
    "lib/x.js": "export const x=1 ;;",
    "data.json": "{ \"a\" :1}",
    "package.json": "{\"dependencies\":{\"react\":\"18\"}}",
    "notes/Unused.tsx": "export default () => <p>",
  };
  const { id } = await project(files);
  const { url, logs } = await live(id);
  for (const [path, content] of Object.entries(files)) {
    const response = await hatch.worker.fetch(new URL(path, url));
    if (path === "package.json") assert.equal(response.status, 404);
    else assert.equal(await response.text(), content, path);
  }
  assert.match(logs, /Left out, as it is not for visitors: package\.json/);
  assert.doesNotMatch(logs, /Compiled/);
});
