// Compiles style sheets with Tailwind's own compiler.

import postcss from "postcss";
import { compile } from "tailwindcss";
import indexCss from "tailwindcss/index.css";
import preflightCss from "tailwindcss/preflight.css";
import themeCss from "tailwindcss/theme.css";
import utilitiesCss from "tailwindcss/utilities.css";
import { defaultExport } from "./literal.js";
import { dependency } from "./manifest.js";
import { extension, folder, join, name, relative } from "./path.js";
import { isStyle } from "./project.js";

const OWN = { tailwindcss: indexCss, "tailwindcss/index.css": indexCss, "tailwindcss/preflight": preflightCss, "tailwindcss/preflight.css": preflightCss, "tailwindcss/theme": themeCss, "tailwindcss/theme.css": themeCss, "tailwindcss/utilities": utilitiesCss, "tailwindcss/utilities.css": utilitiesCss };

/** Signs that a sheet is written for Tailwind. */
const SIGNS = /@(tailwind|apply|theme|plugin|utility|custom-variant|variant|config|source|reference)\b|@import\s+(url\()?["']tailwindcss\b|--(spacing|alpha)\(/;
const isFor3 = (css) => /@tailwind\s+(base|components)\b/.test(css);

/**
 * The Tailwind version that the project uses, if any.
 * @param {import("./project.js").Project} project
 * @returns {3 | 4 | undefined}
 */
export function tailwindOf(project) {
  const { files, manifest } = project;
  const sheets = [...files].filter(([path]) => isStyle(path)).map(([, css]) => css);
  const version = manifest.listed.has("tailwindcss") ? dependency(manifest, "tailwindcss").version : undefined;
  if (version) return version.startsWith("3") ? 3 : 4;
  if (sheets.some((css) => isFor3(css) || (/@tailwind\s/.test(css) && configPath(project)))) return 3;
  const listed = ["tailwindcss", "@tailwindcss/vite", "@tailwindcss/postcss"].some((name) => manifest.listed.has(name));
  if (listed || sheets.some((css) => SIGNS.test(css))) return 4;
  // Only components, as models write them: their class names decide.
  const isBare = !manifest.exists && sheets.length === 0;
  return isBare && [...files.values()].some((text) => /["'`\s:](bg|text|border|from|to|ring)-[a-z]+-(50|[1-9]00|950)\b/.test(text)) ? 4 : undefined;
}

/**
 * Compiles a sheet that is written for Tailwind; undefined for other sheets.
 * @param {import("./bundle.js").Bundle} bundle
 */
export async function tailwindSheet(bundle, path, text) {
  const { project } = bundle;
  if (!SIGNS.test(text)) return undefined;
  try {
    const version = tailwindOf(project);
    const config = version === 3 || isFor3(text) ? configPath(project) : undefined;
    const safe = new Set();
    const compiler = await compile(hoisted(version === 3 || isFor3(text) ? asFor4(text, config && relative(path, config)) : text), {
      base: folder(path), from: path,
      loadStylesheet: async (id, base) => sheet(bundle, id, base, path),
      loadModule: async (id, base) => {
        const plugin = MODULES[id], own = join(base, id);
        if (plugin) return { path: id, base: "", module: (await plugin()).default };
        if (project.files.has(own)) return { path: own, base: folder(own), module: await configuration(bundle, own, safe) };
        bundle.notes.push(`${path}: @plugin "${id}" is not known here and was left out`);
        return { path: id, base: "", module: NOTHING };
      },
    });
    const css = compiler.build([...candidates(project), ...safe]);
    return { css: hoisted(css) };
  } catch (error) {
    const [, line = 1, column = 1, message = error.message] = error.message.match(/^[^:]+:(\d+):(\d+): ([\s\S]*)$/) ?? [];
    const before = text.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    return { css: "", errors: [{ text: `Tailwind: ${message}`, detail: { path, at: before + Number(column) - 1 } }] };
  }
}

/** The path of a project's configuration for Tailwind 3. */
function configPath({ files, root }) {
  return ["js", "ts", "cjs", "mjs", "mts", "cts"].map((ending) => `${root}tailwind.config.${ending}`).find((path) => files.has(path));
}

/** The plain-data part of a project's configuration or plugin. Classes that are always included are added to `safe`. */
async function configuration(bundle, path, safe) {
  const text = bundle.project.files.get(path), asked = [...new Set([...text.matchAll(/(?:from|require\()\s*["']([^"']+)["']/g)].map(([, id]) => id))];
  const known = await Promise.all(asked.filter((id) => MODULES[id]).map(async (id) => [id, (await MODULES[id]()).default]));
  const { value = {}, leftOut } = defaultExport(path, text, new Map(known));
  if (leftOut.length > 0) bundle.notes.push(`${name(path)}: only what is plain data is read, and this was left out: ${leftOut.slice(0, 5).join("; ")}`);
  if (Array.isArray(value?.safelist)) for (const one of value.safelist) if (typeof one === "string") safe.add(one);
  return value;
}

/** Bundled modules that sheets and configurations may load; each is loaded on demand. */
const MODULES = {
  "tailwindcss/colors": () => import("tailwindcss/colors"),
  "tailwindcss/defaultTheme": () => import("tailwindcss/defaultTheme"),
  "tailwindcss/plugin": () => import("tailwindcss/plugin"),
  "tailwindcss-animate": () => import("tailwindcss-animate"),
  daisyui: () => import("daisyui"),
  "daisyui/theme": () => import("daisyui/theme"),
  "@tailwindcss/typography": () => import("@tailwindcss/typography"),
  "@tailwindcss/forms": () => import("@tailwindcss/forms"),
};
/** A plugin without effect, callable with or without options. */
const NOTHING = Object.assign(() => ({ handler() {} }), { __isOptionsFunction: true });

async function sheet(bundle, id, base, from) {
  if (id in OWN) return { path: id, base: "", content: OWN[id] };
  const { files } = bundle.project;
  const file = join(base, id);
  const found = [file, `${file}.css`, `${file}/index.css`].find((path) => files.has(path));
  if (found) return { path: found, base: folder(found), content: rebased(files.get(found), found, from) };
  const { type, text } = await bundle.ask(bundle.styleUrl(id));
  if (!type.startsWith("text/css")) throw new Error(`cannot find "${id}", which ${from} imports`);
  return { path: id, base: "", content: text };
}

/** Rewrites a sheet's addresses so that they are relative to the importing sheet. */
function rebased(css, path, from) {
  if (folder(path) === folder(from)) return css;
  const rebase = (address) => (/^([a-z]+:|\/|#)/i.test(address) ? address : relative(from, join(folder(path), address) ?? address));
  return css.replace(/url\(\s*(["']?)([^"')]+)\1\s*\)/g, (_, quote, address) => `url(${quote}${rebase(address)}${quote})`);
}

/** Moves external imports to the top: browsers ignore imports after a rule. */
function hoisted(css) {
  if (!/@import/.test(css)) return css;
  const root = postcss.parse(css), imports = [];
  root.walkAtRules("import", (rule) => {
    if (/^(url\(\s*)?["']?(https?:)?\/\//.test(rule.params)) imports.push(rule);
  });
  for (const rule of imports.reverse()) root.prepend(rule.remove());
  return root.toString();
}

/** Values of Tailwind 3 for names that have another value in Tailwind 4. */
const THEME_OF_3 = `@theme default { --radius-sm: 0.125rem; --shadow-sm: 0 1px 2px 0 rgb(0 0 0 / 0.05); --blur-sm: 4px; --drop-shadow-sm: 0 1px 1px rgb(0 0 0 / 0.05); --default-ring-width: 3px; --default-ring-color: rgb(59 130 246 / 0.5); }
@layer base { *, ::before, ::after { border-color: var(--color-gray-200, currentcolor) } button, [role="button"] { cursor: pointer } }`;

/** Converts a sheet for Tailwind 3, with its configuration, to Tailwind 4. */
function asFor4(css, config) {
  const root = postcss.parse(css);
  const imports = { base: ['"tailwindcss/theme" layer(theme)', '"tailwindcss/preflight" layer(base)'], utilities: ['"tailwindcss/utilities" layer(utilities)'] };
  let isFirst = true;
  root.walkAtRules("tailwind", (rule) => {
    const lines = (imports[rule.params] ?? []).map((params) => postcss.atRule({ name: "import", params }));
    if (isFirst) lines.unshift(postcss.atRule({ name: "layer", params: "theme, base, components, utilities" }));
    isFirst = false;
    rule.replaceWith(lines);
  });
  // Only the project's first sheet gets the theme; other sheets use it.
  if (!isFirst) root.append(postcss.parse(THEME_OF_3).nodes);
  if (config) root.prepend(postcss.atRule({ name: "config", params: JSON.stringify(config) }));
  return root.toString();
}

/** Every word in the project's sources that may be a class name. */
function candidates({ files, root }) {
  const words = new Set();
  for (const [path, text] of files) {
    if (!path.startsWith(root) || isStyle(path) || IGNORED.test(path)) continue;
    if (!SCANNED.has(extension(path))) continue;
    for (const [word] of text.matchAll(/[^<>"'`\s\\;]*[^<>"'`\s\\:;]/g)) {
      for (const one of [word, word.replace(/^[([{,=]+|[)\]},]+$/g, ""), ...word.split(/[=(),{}]/)]) if (one.length > 0 && one.length < 200) words.add(one);
    }
  }
  return [...words];
}

const IGNORED = /(^|\/)(node_modules|dist|package(-lock)?\.json|\..*)(\/|$)/;
const SCANNED = new Set(["html", "js", "jsx", "ts", "tsx", "mjs", "cjs", "mts", "vue", "svelte", "md", "mdx", "json", "astro", "php", "txt"]);
