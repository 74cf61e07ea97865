// Faults that were reported of similar products, each as a small project: it
// shows the right thing in Chromium without an error on the console, or its
// deployment fails with the place and what to do. One browser opens them all.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, describe, test } from "node:test";
import { inBrowser, startBrowser } from "./support/browser.js";
import { deployments } from "./support/deployments.js";
import { startEsmCdn } from "./fakes/esm-cdn.js";
import { startWorker } from "./support/harness.js";

const cdn = await startEsmCdn();
after(() => cdn.stop());
const hatch = await startWorker({ ESM_CDN_URL: cdn.url });
const { project, live } = deployments(hatch);
const browser = await startBrowser();
after(() => browser?.stop());

const version = async (name) => JSON.parse(await readFile(`node_modules/${name}/package.json`, "utf8")).version;
const MANIFEST = JSON.stringify({ dependencies: { react: await version("react"), "react-dom": await version("react-dom") }, devDependencies: { tailwindcss: "^4.1.0" } });
const PAGE = '<!doctype html><body><script type="module" src="/src/main.ts"></script>';
const REACT = {
  "index.html": '<!doctype html><div id=root></div><script type=module src=/src/main.tsx></script>', "package.json": MANIFEST,
  "src/main.tsx": "import {createRoot} from 'react-dom/client'; import App from './App'; createRoot(document.getElementById('root')!).render(<App/>)",
};
const show = (expression) => `document.body.append(String(${expression}))`;
const BOM = "\uFEFF";

/** Deploys the files, and checks what a browser shows on the app's own origin and under /p/. */
function shows(name, files, expected, { path = "", isReady, sandboxed = true } = {}) {
  test(name, inBrowser, async () => {
    const { url, status, logs } = await live((await project({ "index.html": PAGE, ...files })).id);
    assert.equal(status, "live", logs);
    const roads = [url, ...(sandboxed ? [`${hatch.url}/p/${new URL(url).hostname.split(".")[0]}/`] : [])];
    for (const road of roads) {
      const { value, errors } = await browser.open(road + path, isReady);
      assert.deepEqual({ value, errors }, { value: expected, errors: [] }, `${road}\n${logs}`);
    }
  });
}

function fails(name, files, ...parts) {
  test(name, async () => {
    const { status, error, logs } = await live((await project({ "index.html": PAGE, ...files })).id);
    assert.equal(status, "failed", logs);
    for (const part of parts) assert.match(logs, part, error);
  });
}

describe("names that modules import and export", () => {
  const app = (App, more) => ({ ...REACT, "src/App.tsx": App, ...more });
  fails("a default import of what has none fails, with the names that there are", app("export function App(){ return <h1>hi</h1> }"), /src\/main\.tsx:1:\d+: src\/App\.tsx has no default export: it exports App/);
  fails("a name that is not exported fails, with the nearest one", { "src/main.ts": "import {Buttn} from './ui'; Buttn", "src/ui.ts": "export const Button = 1" }, /src\/main\.ts:1:9: src\/ui\.ts does not export "Buttn": it exports Button; did you mean "Button"\?/);
  fails("a default through `export *` fails", { "src/main.ts": "import a from './barrel'; a", "src/barrel.ts": "export * from './a'", "src/a.ts": "export default 1" }, /src\/main\.ts:1:8: src\/barrel\.ts has no default export/);
  fails("a name that two `export *` give fails", { "src/main.ts": "import {x} from './b'; x", "src/b.ts": "export * from './c'; export * from './d'", "src/c.ts": "export const x=1", "src/d.ts": "export const x=2" }, /src\/main\.ts:1:9: Ambiguous import "x"/);
  fails("a name of JSON and of a CSS module that is not there fails", { "src/main.ts": "import {z} from './d.json'; import {nope} from './a.module.css'; z; nope", "src/d.json": '{"x":1}', "src/a.module.css": ".a{}" }, /d\.json does not export "z"/, /a\.module\.css does not export "nope"/);
  fails("a value that a barrel passes on and nobody has fails", { "src/main.ts": "import {Thing} from './barrel'; console.log(Thing)", "src/barrel.ts": "export { Thing } from './types'", "src/types.ts": "export const other = 1" }, /src\/barrel\.ts:1:10: src\/types\.ts does not export "Thing"/);
  shows("types that are passed on without `type` are dropped", {
    "src/main.ts": `import {n, type Item} from './lib'; const i: Item = {id: n}; ${show("i.id")}`,
    "src/lib.ts": "import {Item as Local} from './types'; import P from './p'; export {Local, P}; export { Item, Item as Thing } from './types'; export const n = 1",
    "src/types.ts": "export interface Item{id:number}", "src/p.ts": "export default interface P{}",
  }, "1");
});

describe("import.meta and what it leads to", () => {
  shows("import.meta.env is there however it is spelled", {
    ".env": "VITE_TITLE=ok",
    "src/main.ts": `const m = import.meta; const {env} = import.meta; ${show("[(import.meta as any).env.VITE_TITLE, import.meta!.env.VITE_TITLE, import.meta /* c */ .env.VITE_TITLE, import.meta['env'].MODE, m.env.MODE, env.VITE_TITLE, import.meta.env.NOTHING]")}`,
  }, "ok,ok,ok,production,production,ok,");
  shows("imports with backticks and variables find every file that fits", {
    "src/main.ts": `const l = 'de', n = 'Home'; const all = await Promise.all([import(\`./pages/Home\`), import(\`./locales/\${l}.ts\`), import('./pages/' + n + '.ts'), import(\`./pages/\${n}\`), import(\`@/pages/\${n}.ts\`), import(/* @vite-ignore */ 'data:text/javascript,export default 5')]); ${show("all.map(m => m.default)")}`,
    "src/pages/Home.ts": "export default 'home'", "src/locales/de.ts": "export default 'de'", "src/locales/en.ts": "export default 'en'",
  }, "home,de,home,home,home,5");
  const worker = { "src/w.ts": "import {twice} from './twice'; self.onmessage = (e: MessageEvent<number>) => postMessage(twice(e.data))", "src/twice.ts": "export const twice = (n: number) => n * 2" };
  const answered = "w.onmessage = e => document.body.append(e.data); w.postMessage(21)";
  for (const [name, made] of [["new URL in place", "const w = new Worker(new URL('./w.ts', import.meta.url), {type:'module'})"], ["a variable", "const u = new URL('./w.ts', import.meta.url); const w = new Worker(u, {type:'module'})"], ["?worker", "import W from './w?worker'; const w = new W()"], ["?worker&url", "import u from './w?worker&url'; const w = new Worker(u, {type:'module'})"]]) {
    // Browsers start no worker at an opaque origin.
    shows(`a worker by ${name} is compiled and answers`, { ...worker, "src/main.ts": `${made}; ${answered}` }, "42", { sandboxed: false });
  }
  shows("a worker in JavaScript and a shared worker answer as well", {
    "src/w.js": "import {twice} from './twice'; self.onmessage = (e) => postMessage(twice(e.data))", "src/s.ts": "self.onconnect = (e: any) => { const port = e.ports[0]; port.onmessage = (m: MessageEvent<number>) => port.postMessage(m.data + 1) }", "src/twice.ts": "export const twice = (n: number) => n * 2",
    "src/main.ts": `const w = new Worker(new URL('./w.js', import.meta.url), { type: 'module' }); const s = new SharedWorker(new URL('./s.ts', import.meta.url), { type: 'module' });
const first = new Promise<number>(done => { w.onmessage = e => done(e.data) }), second = new Promise<number>(done => { s.port.onmessage = e => done(e.data) }); w.postMessage(21); s.port.postMessage(6); const all = await Promise.all([first, second]); ${show("all")}`,
  }, "42,7", { sandboxed: false });
  shows("every address that is given answers", {
    "src/main.ts": `import md from './notes.md'; import glsl from './fx.glsl?url'; import yaml from './a.yaml'; import lottie from './a.lottie'; import wasm from './m.wasm?url'; import raw from './notes.md?raw';
const urls = [md, glsl, yaml, lottie, new URL('./f.gltf', import.meta.url).href, new URL('a.pdf', import.meta.url).href, wasm]; const texts = await Promise.all(urls.map(async u => { const r = await fetch(u); return r.status + (await r.text()) })); ${show("[...texts, raw]")}`,
    "src/notes.md": "md", "src/fx.glsl": "glsl", "src/a.yaml": "yaml", "src/a.lottie": "lottie", "src/f.gltf": "gltf", "src/a.pdf": "pdf", "src/m.wasm": "wasm",
  }, "200md,200glsl,200yaml,200lottie,200gltf,200pdf,200wasm,md", { sandboxed: false });
  shows("import.meta.glob finds its files, lazily and eagerly", {
    "src/main.ts": `const lazy = import.meta.glob('./x/*.ts'); const eager = import.meta.glob(['./x/*.ts', '!**/b.ts'], {eager: true, import: 'default'}); const raw = import.meta.glob('/src/x/*.txt', {query: '?raw', import: 'default', eager: true}); const b: any = await lazy['./x/b.ts'](); ${show("[Object.keys(lazy), Object.values(eager), b.default, JSON.stringify(raw)]")}`,
    "src/x/a.ts": "export default 'A'", "src/x/b.ts": "export default 'B'", "src/x/c.txt": "C",
  }, './x/a.ts,./x/b.ts,A,B,{"/src/x/c.txt":"C"}');
  fails("a file that `new URL` asks for and is not there fails", { "src/main.ts": "new URL('./gone.png', import.meta.url)" }, /src\/main\.ts:1:9: cannot find "\.\/gone\.png"/);
});

describe("what TypeScript has", () => {
  shows("standard decorators and accessor are compiled", { "src/main.ts": `function log(v: any, _c: any){ return v } class A { @log m(){ return 1 } accessor n = 2 } ${show("new A().n + new A().m()")}` }, "3");
  shows("legacy decorators are set up as tsconfig asks, and fields are assignments", {
    "tsconfig.json": '{"compilerOptions":{"experimentalDecorators":true,"useDefineForClassFields":false}}',
    "src/main.ts": `const set: number[] = []; function p(): any { return (proto: any, key: string) => Object.defineProperty(proto, key, { set(v) { set.push(v) }, get() { return 9 } }) } class C { @p() x = 1; @p() y!: number } new C().x = 5; ${show("[set, Object.keys(new C())]")}`,
  }, "1,5,1,");
  shows("fields are assignments for a target before ES2022", {
    "tsconfig.json": '{"compilerOptions":{"experimentalDecorators":true,"target":"ES2020"}}',
    "src/main.ts": `const set: number[] = []; function p(): any { return (proto: any, key: string) => Object.defineProperty(proto, key, { set(v) { set.push(v) }, get() { return 9 } }) } class C { @p() x = 1; @p() y!: number } new C().x = 5; ${show("[set, Object.keys(new C())]")}`,
  }, "1,5,1,");
  shows("blocks of one namespace see each other's variables", { "src/main.ts": `namespace A { export let n = 1 } namespace A { n = 5; n++; [n] = [n + 1]; export const m = n; export function f(n: number) { n = 9; return n } } ${show("[A.n, A.m, A.f(1)]")}` }, "7,7,9");
  shows("what is only declared, const enums and `using` leave what runs", {
    "src/main.ts": `import { Foo, type Bar } from './foo'; import { Size } from './size'; const f: Foo | Bar = { a: 1 }; let closed = ''; { using x = { [Symbol.dispose]() { closed = 'closed' } }; void x; } ${show("[f.a, Size.Small, closed]")}`,
    "src/foo.d.ts": "export interface Foo { a: number } export type Bar = Foo;", "src/size.ts": "export const enum Size { Small = 's' }",
  }, "1,s,closed");
  shows("an exported variable of a namespace is its property", { "src/main.ts": `namespace Count { export let n = 0; export function up(){ n++ } } Count.up(); Count.up(); ${show("Count.n")}` }, "2");
  shows("the longest of several paths counts, through extends and references", {
    "tsconfig.json": '{"files":[],"references":[{"path":"./tsconfig.app.json"},{"path":"./tsconfig.node.json"}]}', "tsconfig.app.json": `${BOM}{"extends":["./config/base.json"], /* c */ "compilerOptions":{"jsx":"react-jsx",},}`,
    "tsconfig.node.json": '{"compilerOptions":{"paths":{"@/*":["./nowhere/*"]}}}', "config/base.json": '{"compilerOptions":{"paths":{"@/*":["../src/*"],"@/shared/*":["../shared/*"],"~lib/*":["${configDir}/src/lib/*"]}}}',
    "src/main.ts": `import x from '@/shared/x'; import y from '@/y'; import z from '~lib/z'; ${show("[x, y, z]")}`, "shared/x.ts": "export default 'right'", "src/shared/x.ts": "export default 'wrong'", "src/y.ts": "export default 'y'", "src/lib/z.ts": "export default 'z'",
  }, "right,y,z");
});

describe("where modules are found", () => {
  shows("an alias of vite.config, `imports`, `exports` and a workspace lead to files", {
    "vite.config.ts": "import path from 'path'; export default { resolve: { alias: { '@ui': path.resolve(__dirname, 'src/ui'), '~': new URL('./src', import.meta.url).pathname } } }",
    "package.json": '{"name":"app","imports":{"#c":"./src/c.ts","#d/*":"./src/d/*.ts"},"exports":{"./self":"./src/self.ts"},"workspaces":["packages/*"],"dependencies":{"@acme/kit":"workspace:*"}}',
    "packages/kit/package.json": '{"name":"@acme/kit","exports":{".":"./src/index.ts","./sub":"./src/sub.ts"}}', "packages/kit/src/index.ts": "export default 'kit'", "packages/kit/src/sub.ts": "export default 'sub'",
    "src/main.ts": `import a from '@ui/Button'; import b from '~/b'; import c from '#c'; import d from '#d/one'; import e from 'app/self'; import f from '@acme/kit'; import g from '@acme/kit/sub'; ${show("[a, b, c, d, e, f, g]")}`,
    "src/ui/Button.ts": "export default 'a'", "src/b.ts": "export default 'b'", "src/c.ts": "export default 'c'", "src/d/one.ts": "export default 'd'", "src/self.ts": "export default 'e'",
  }, "a,b,c,d,e,kit,sub");
  shows("every text may begin with a byte order mark", {
    "index.html": `${BOM}${PAGE}`, "package.json": `${BOM}{"dependencies":{}}`, "tsconfig.json": `${BOM}{"compilerOptions":{"paths":{"#/*":["./src/*"]}}}`, ".env": `${BOM}VITE_A=one\r\nVITE_B=two\r\n`,
    "src/main.ts": `${BOM}import d from './d.json';\r\nimport e from '#/e';\r\nimport './a.css';\r\n${show("[import.meta.env.VITE_A, import.meta.env.VITE_B, d.x, e, getComputedStyle(document.body).color, document.compatMode]")}`, "src/d.json": `${BOM}{"x":1}`, "src/e.ts": `${BOM}export default 'e'`, "src/a.css": `${BOM}body{color:rgb(1, 2, 3)}`,
  }, "one,two,1,e,rgb(1, 2, 3),CSS1Compat");
  shows("JSON keeps the order of its keys, and `__proto__` is a key", {
    "src/main.ts": `import menu from './menu.json'; import d from './d.json' with { type: 'json' }; ${show("Object.keys(menu).join() + JSON.stringify(d)")}`,
    "src/menu.json": '{"soup":1,"bread":2,"apple":3}', "src/d.json": '{"__proto__":{"x":1},"y":2}',
  }, 'soup,bread,apple{"__proto__":{"x":1},"y":2}');
  shows("files with odd names are imported", { "src/main.ts": `import a from './My Module'; import b from './x#y.svg'; import c from './日本'; import d from './100%'; const r = await fetch(b); ${show("[a, r.status, c, d]")}`, "src/My Module.ts": "export default 1", "src/x#y.svg": "<svg/>", "src/日本.ts": "export default 3", "src/100%.ts": "export default 4" }, "1,200,3,4", { sandboxed: false });
  fails("a package of a framework with a server says where it can run", { "src/main.ts": "import Link from 'next/link'; Link" }, /src\/main\.ts:1:18: "next\/link" belongs to Next\.js, which needs a server: deploy to `vercel`/);
  for (const [name, files, part] of [["Angular", { "package.json": '{"dependencies":{"@angular/core":"18"}}', "src/main.server.ts": "1" }, /Angular is not compiled here: deploy it to `vercel`/], ["Next.js", { "package.json": '{"dependencies":{"next":"14"}}', "app/page.tsx": "1" }, /Next\.js app, which needs a server/], ["a server", { "package.json": '{"dependencies":{"express":"4"}}', "index.ts": "import express from 'express'; express().listen()" }, /This is a server: deploy it to `koyeb`/]]) {
    test(`${name} says which target runs it`, async () => {
      const { status, logs } = await live((await project(files)).id);
      assert.equal(status, "failed");
      assert.match(logs, part);
    });
  }
});

describe("styles", () => {
  const style = (selector, property) => `getComputedStyle(document.querySelector('${selector}')).${property}`;
  shows("CSS modules: composes, keyframes, :global, escapes, layers, values with dots", {
    "index.html": PAGE.replace("<body>", "<body><div class=g><p></p></div><i></i>"),
    "src/main.ts": `import s from './a.module.css'; document.querySelector('p')!.className = s.h; document.querySelector('i')!.className = [s.big, s['w-1/2'], s.spin, s.default].join(' '); const i = getComputedStyle(document.querySelector('i')!); ${show("[s.big.split(' ').length, i.color, i.width, i.animationName !== 'none', " + style("p", "color") + ", i.opacity]")}`,
    "src/a.module.css": `@layer a.b { .base { color: red } } .base { color: rgb(9, 9, 9) } .big { composes: base; composes: other from './b.module.css'; display: block } .slow { transition: all .5s } .w-1\\/2 { width: 50px } @keyframes spin { from { top: 0 } } .spin { animation: spin 1s } :global(.g) .h { color: rgb(1, 1, 1) } .default { opacity: .5 }`,
    "src/b.module.css": ".other { font-size: 40px }",
  }, "3,rgb(9, 9, 9),50px,true,rgb(1, 1, 1),0.5");
  shows("conditions of @import count, in a sheet of one line as well", {
    "index.html": PAGE.replace("<body>", "<body><b class=btn></b><b class=dark></b><b class=reset></b>"),
    "src/main.ts": `import './i.css'; ${show(`[${style(".btn", "color")}, ${style(".dark", "color")}, ${style(".reset", "color")}]`)}`,
    "src/i.css": '@import "./base.css"; @import "./dark.css" (prefers-color-scheme: dark); @import "./reset.css" layer(reset); .btn{color:rgb(2, 2, 2)} .reset{color:rgb(3, 3, 3)}', "src/base.css": ".base{}", "src/dark.css": ".dark{color:red}", "src/reset.css": ".reset{color:red}",
  }, "rgb(2, 2, 2),rgb(0, 0, 0),rgb(3, 3, 3)");
  shows("Tailwind keeps what stands behind its plugins, and its plugins work", {
    ...REACT, "src/App.tsx": `import './index.css'; import { useEffect, useRef, useState } from 'react'; export default function App() { const keep = useRef<HTMLElement>(null), btn = useRef<HTMLElement>(null); const [t, set] = useState(''); useEffect(() => set([getComputedStyle(keep.current!).color, getComputedStyle(keep.current!).paddingTop, getComputedStyle(btn.current!).cursor, getComputedStyle(btn.current!).display].join()), []); return <><b ref={keep} className="keep p-4 md:hidden-not"/><b ref={btn} className="btn"/>{t}</> }`,
    "src/index.css": '@import "tailwindcss";\n@plugin "daisyui" {\n  themes: light --default, dark --prefersdark;\n}\n@plugin "@tailwindcss/typography";\n@source inline(\n  "{p-2,p-3}"\n);\n.keep { color: rgb(1, 2, 3) }\n',
  }, "rgb(1, 2, 3),16px,pointer,inline-flex");
  shows("Tailwind and an @import in one line, addresses of moved sheets, on a page of the app's own routing", {
    "index.html": PAGE.replace("<body>", "<body><b class='keep pt-4'></b>"),
    "src/main.ts": `import './index.css'; const url = (s: string) => getComputedStyle(document.querySelector(s)!).backgroundImage.slice(5, -2); const [bg, dot] = await Promise.all([fetch(url('body')), fetch(url('.keep'))]); ${show(`[${style(".keep", "color")}, ${style(".keep", "paddingTop")}, bg.status, await bg.text(), dot.status, await dot.text()]`)}`,
    "src/index.css": '@import "tailwindcss";@import "./theme/a.css";.keep{color:rgb(1, 2, 3)} body{background:url(./bg.svg)}', "src/bg.svg": '<svg xmlns="http://www.w3.org/2000/svg" id="bg"/>', "src/theme/a.css": ".keep{background:url(dot.svg)}", "src/theme/dot.svg": '<svg xmlns="http://www.w3.org/2000/svg" id="dot"/>',
  }, 'rgb(1, 2, 3),16px,200,<svg xmlns="http://www.w3.org/2000/svg" id="bg"/>,200,<svg xmlns="http://www.w3.org/2000/svg" id="dot"/>', { path: "deep/route", sandboxed: false });
  shows("a configuration of Tailwind 3 is read as data: theme, functions of it, plugins, safelist", {
    "index.html": PAGE.replace("<body>", "<body><b class='bg-brand-500 mt-gap p-4 shadow-none on'></b>"), "package.json": '{"devDependencies":{"tailwindcss":"^3.4.0","tailwindcss-animate":"1"}}',
    "src/main.ts": `import './i.css'; ${show(`[${style("b", "backgroundColor")}, ${style("b", "marginTop")}, ${style("b", "outlineStyle")}, ${style("b", "borderTopLeftRadius")}]`)}`, "src/i.css": "@tailwind base;\n@tailwind components;\n@tailwind utilities;\n@layer components { .on { @apply glow rounded-lg } }",
    "tailwind.config.ts": `import type { Config } from "tailwindcss";
import defaultTheme from "tailwindcss/defaultTheme";
import plugin from "tailwindcss/plugin";
const brand = { 500: "rgb(1, 2, 3)" };
export default { darkMode: ["class"], content: ["./src/**/*.tsx"], safelist: ["underline"],
  theme: { extend: { colors: { brand }, spacing: { gap: "13px" }, borderRadius: ({ theme }) => ({ lg: theme("spacing.gap") }), fontFamily: { sans: ["Inter", ...defaultTheme.fontFamily.sans] } } },
  plugins: [require("tailwindcss-animate"), plugin(function ({ addUtilities }) { addUtilities({ ".glow": { outline: "1px dotted" } }); })],
} satisfies Config;`,
  }, "rgb(1, 2, 3),13px,dotted,13px");
  test("what is more than data in a configuration of Tailwind is left out, said, and never run", async () => {
    for (const plugins of ["[require('nobody')]", "[(() => { while (true) {} })()]", "[[].constructor.constructor('return 1')()]", "[f(), f()]"]) {
      const { status, logs } = await live((await project({ "index.html": PAGE, "src/main.ts": "import './i.css'", "src/i.css": "@tailwind utilities;", "tailwind.config.js": `const f = () => [f(), f()]; module.exports = { theme: { extend: { spacing: { gap: "13px" } } }, plugins: ${plugins} }` })).id);
      assert.equal(status, "live", logs);
      assert.match(logs, /tailwind\.config\.js: only what is plain data is read, and this was left out: /);
    }
  });
  test("a font that is imported behind Tailwind comes first in the sheet", async () => {
    const { url, logs } = await live((await project({ "index.html": PAGE, "src/main.ts": "import './i.css'", "src/i.css": '@import "tailwindcss";\n@import "./fonts.css";\n.x{color:red}', "src/fonts.css": '@import url("https://fonts.example/css2?family=Inter:wght@400;500&display=swap");' })).id);
    const page = await (await hatch.worker.fetch(url)).text();
    const sheet = await (await hatch.worker.fetch(new URL(page.match(/href="([^"]+\.css)"/)[1], url))).text();
    assert.match(sheet, /^@import"https:\/\/fonts\.example\/css2\?family=Inter:wght@400;500&display=swap";/, logs);
  });
});

describe("languages with a compiler of their own", () => {
  const mounted = async (name, at) => ({ "index.html": "<!doctype html><div id=app></div><script type=module src=/src/main.ts></script>", "package.json": JSON.stringify({ dependencies: { [name]: await version(name) } }), "src/main.ts": at });
  test("Vue's components work, with Sass, scoped styles and CSS modules", inBrowser, async () => {
    const files = {
      ...await mounted("vue", "import {createApp} from 'vue'; import App from './App.vue'; createApp(App).mount('#app')"),
      "src/App.vue": `<script setup lang="ts">
import { onMounted, ref } from 'vue'
import Old from './Old.vue'
const n = ref<number>(1), style = ref(''), el = ref<HTMLElement>()
onMounted(() => { n.value++; style.value = getComputedStyle(el.value!).color })
</script>
<template><p class="a" ref="el">{{ n as number }} {{ style }}</p><Old/></template>
<style scoped lang="scss">$c: rgb(1, 2, 3); .a { color: $c }</style>`,
      "src/Old.vue": "<template><i>{{ x }}</i></template><script>export default { data: () => ({ x: 'old' }) }</script><style module>.m{color:red}</style>",
    };
    const { url, logs } = await live((await project(files)).id);
    const { value, errors } = await browser.open(url, "document.body.innerText.includes('rgb')");
    assert.deepEqual({ value, errors }, { value: "2 rgb(1, 2, 3)\n\nold", errors: [] }, logs);
  });
  test("Svelte's components are compiled", async () => {
    const files = { ...await mounted("svelte", "import {mount} from 'svelte'; import App from './App.svelte'; mount(App, {target: document.getElementById('app')!})"), "src/App.svelte": '<script lang="ts">let n: number = $state(1)</script><button onclick={() => n++}>{n}</button><style>button{color:red}</style>' };
    const { status, url, logs } = await live((await project(files)).id);
    assert.equal(status, "live", logs);
    const page = await (await hatch.worker.fetch(url)).text();
    assert.match(page, /"svelte\/internal\/client": "http:.+\/svelte@5[^"]+\/internal\/client/);
  });
  shows("Sass is compiled, as modules as well", { "src/main.ts": `import './a.scss'; import s from './b.module.scss'; document.body.className = s.q; ${show("[getComputedStyle(document.body).color, getComputedStyle(document.body).paddingTop]")}`, "src/a.scss": "@use './vars' as v;\nbody { color: v.$c }", "src/_vars.scss": "$c: rgb(1, 2, 3);", "src/b.module.scss": ".q { &:is(body) { padding: 7px } }" }, "rgb(1, 2, 3),7px");
  shows("Less is compiled, as modules as well, with its imports", { "src/main.ts": `import './a.less'; import s from './b.module.less'; document.body.className = s.q; ${show("[getComputedStyle(document.body).color, getComputedStyle(document.body).paddingTop, getComputedStyle(document.body).width]")}`, "src/a.less": "@import './theme/vars'; body { .m(3px); color: fade(@c, 100%); width: (90px + 10) }", "src/theme/vars.less": "@c: rgb(1, 2, 3); .m(@w) { border: @w solid }", "src/b.module.less": ".q { &:extend(.r); padding: ~'7px' } .r { margin: 0 }" }, "rgb(1, 2, 3),7px,100px");
  fails("what is wrong in Less is told at its place, in the sheet that has it", { "src/main.ts": "import './a.less'", "src/a.less": "@import './b';", "src/b.less": ".x {\n  color: @nope;\n}" }, /src\/b\.less:2:10: variable @nope is undefined/);
  fails("Less runs no code of the project's", { "src/main.ts": "import './a.less'", "src/a.less": ".x { width: `1 + 1` }" }, /src\/a\.less:1:\d+: Inline JavaScript is not enabled/);
  test("Solid's JSX follows its signals, and what is wrong in it is told at its place", inBrowser, async () => {
    const files = { "index.html": "<!doctype html><div id=root></div><script type=module src=/src/main.tsx></script>", "package.json": JSON.stringify({ dependencies: { "solid-js": await version("solid-js") } }), "src/main.tsx": `import { createSignal, For, onMount } from 'solid-js'; import { render } from 'solid-js/web';
const [n, set] = createSignal<number>(1);
const App = () => { onMount(() => set(2)); return <><b classList={{ on: n() > 1 }}>{n() as number}</b><For each={[1, 2]}>{(one: number) => <i>{one * n()}</i>}</For></> };
render(() => <App />, document.getElementById('root')!)` };
    const { url, logs } = await live((await project(files)).id);
    assert.deepEqual(await browser.open(url), { value: "224", errors: [] }, logs);
    const { status, logs: told } = await live((await project({ ...files, "src/main.tsx": "const a = 1;\nconst b = <p>{</p>;" })).id);
    assert.equal(status, "failed");
    assert.match(told, /src\/main\.tsx:2:\d+: Unexpected token/);
  });
  fails("what is wrong in Sass is told at its place", { "src/main.ts": "import './a.scss'", "src/a.scss": ".x {\n  color: $nope;\n}" }, /src\/a\.scss:2:10: Undefined variable/);
  fails("what is wrong in a template is told in its file", { "src/main.ts": "import App from './App.vue'; App", "src/App.vue": "<template>\n<p>\n</template>" }, /src\/App\.vue:2:1: Element is missing end tag/);
});

describe("pages", () => {
  shows("%VITE_X% in a page is replaced, and what is not known stays", { ".env": "VITE_TITLE=Shop", "index.html": '<!doctype html><title>%VITE_TITLE%</title><p>%MODE% 100% of %UNKNOWN%</p><script type=module src=/src/main.ts></script>', "src/main.ts": show("' ' + document.title") }, "production 100% of %UNKNOWN%\n\nShop");
  shows(".env is read by dotenv's rules", {
    ".env": "VITE_A=abc # note\nVITE_B=\"a # b\"\nVITE_C='it\"s'\nVITE_D=${VITE_A}/x\nVITE_E=\"l1\\nl2\"\nVITE_F=a#b\nexport VITE_G=g\nVITE_H=\"one\ntwo\"\nSECRET=s", ".env.local": "VITE_A=local",
    "src/main.ts": show("JSON.stringify(Object.entries(import.meta.env).filter(([k]) => /^VITE|SECRET/.test(k)).map(([, v]) => v))"),
  }, JSON.stringify(["local", "a # b", 'it"s', "local/x", "l1\nl2", "a", "g", "one\ntwo"]));
  for (const [name, before] of [["a byte order mark", BOM], ["a comment", "<!-- made for Ann -->\n"], ["an XML declaration", '<?xml version="1.0"?>']]) {
    shows(`${name} before the doctype is no quirk, plain`, { "index.html": `${before}<!DOCTYPE html><p></p><script>${show("document.compatMode")}</script>` }, "CSS1Compat");
    shows(`${name} before the doctype is no quirk, compiled`, { ...REACT, "index.html": `${before}<!DOCTYPE html><div id=root></div><script type=module src=/src/main.tsx></script>`, "src/App.tsx": "export default () => <p>{document.compatMode}</p>" }, "CSS1Compat");
  }
  fails("a plain page whose script is not there fails", { "index.html": "<!doctype html>\n<script src=gone.js></script>" }, /index\.html:2:\d+: asks for "gone\.js", which is not there/);
  fails("a plain page whose script does not parse fails at its place", { "index.html": "<script src=a.js></script>", "a.js": "let a = 1;\nlet b = (;" }, /a\.js:2:10: the browser cannot read it/);
  fails("a plain module that imports what is not exported fails", { "index.html": "<script type=module src=a.js></script>", "a.js": "import { nope } from './b.js'; nope", "b.js": "export const b = 1" }, /a\.js:1:22: b\.js does not export "nope": it exports b/);
  test("a deployment that fails leaves what is live as it is", async () => {
    const { id } = await project({ "index.html": "<p>first" });
    const { url } = await live(id);
    assert.equal((await live(id, { code: { "index.html": "<script src=gone.js></script>" } })).status, "failed");
    assert.equal(await (await hatch.worker.fetch(url)).text(), "<p>first");
  });
});
