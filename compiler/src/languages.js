// Compiles languages that esbuild does not support: Vue, Svelte, Solid's JSX, Sass and Less. Each compiler is loaded
// when a project needs it.

import { extension, folder, join, name } from "./path.js";

/**
 * @typedef {{contents: string, loader: string} | {wrong: string, in?: string, at?: {line: number, column: number}}} Made
 */

/** Compiles a Vue single-file component to a module that imports its styles. @returns {Promise<Made>} */
export async function vueModule(path, text) {
  const { compileScript, compileTemplate } = await import("@vue/compiler-sfc");
  const { descriptor, wrong, id, isScoped } = await vueDescriptor(path, text);
  if (wrong) return wrong;
  try {
    const { script, scriptSetup, template, styles } = descriptor;
    const options = { id, inlineTemplate: Boolean(scriptSetup), genDefaultAs: "__component" };
    const compiled = script || scriptSetup ? compileScript(descriptor, options) : { content: "const __component = {};" };
    const parts = [compiled.content];
    if (template && !scriptSetup) {
      const render = compileTemplate({ source: template.content, filename: path, id, scoped: isScoped, compilerOptions: { bindingMetadata: compiled.bindings, expressionPlugins: ["typescript"] } });
      if (render.errors.length > 0) return vueWrong(render.errors[0]);
      parts.push(render.code.replace(/\nexport (function|const) render/, "\n$1 render"), "__component.render = render;");
    }
    styles.forEach((style, n) => parts.push(...styleImport(path, style, n)));
    if (isScoped) parts.push(`__component.__scopeId = "data-v-${id}";`);
    return { contents: `${parts.join("\n")}\nexport default __component;\n`, loader: /^tsx?$/.test((scriptSetup ?? script)?.lang ?? "js") ? "ts" : "js" };
  } catch (error) {
    return vueWrong(error);
  }
}

function styleImport(path, style, n) {
  const specifier = JSON.stringify(`./${name(path)}?vue-style=${n}`);
  if (!style.module) return [`import ${specifier};`];
  const as = style.module === true ? "$style" : style.module;
  return [`import __style${n} from ${specifier};`, `__component.__cssModules = { ...__component.__cssModules, ${JSON.stringify(as)}: __style${n} };`];
}

/** Compiles one of a Vue component's style sheets. @returns {Promise<Made>} */
export async function vueStyle(path, text, number, files) {
  const { compileStyle } = await import("@vue/compiler-sfc");
  const { descriptor, id } = await vueDescriptor(path, text), style = descriptor.styles[number];
  const plain = style.lang && style.lang !== "css" ? await plainSheet(`${path}.${style.lang}`, style.content, files) : { contents: style.content };
  if (plain.wrong) return plain;
  const { code, errors } = compileStyle({ source: plain.contents, filename: path, id: `data-v-${id}`, scoped: Boolean(style.scoped) });
  return errors.length > 0 ? vueWrong(errors[0]) : { contents: code, loader: style.module ? "local-css" : "css" };
}

async function vueDescriptor(path, text) {
  const { parse } = await import("@vue/compiler-sfc");
  const { descriptor, errors } = parse(text, { filename: path, sourceMap: false });
  const id = [...path].reduce((hash, character) => Math.imul(hash ^ character.codePointAt(0), 0x01000193) >>> 0, 0x811c9dc5).toString(16);
  return { descriptor, wrong: errors[0] && vueWrong(errors[0]), id, isScoped: descriptor.styles.some(({ scoped }) => scoped) };
}

const vueWrong = (error) => ({ wrong: (error.message ?? String(error)).split("\n")[0], at: error.loc?.start });

/** Compiles a Svelte component, or a module with runes. @returns {Promise<Made>} */
export async function svelteModule(path, text) {
  const { compile, compileModule } = await import("svelte/compiler");
  try {
    const { js } = extension(path) === "svelte" ? compile(text, { filename: path, generate: "client", css: "injected" }) : compileModule(text, { filename: path, generate: "client" });
    return { contents: js.code, loader: "js" };
  } catch (error) {
    return { wrong: error.message.split("\n")[0], at: error.start && { line: error.start.line, column: error.start.column + 1 } };
  }
}

/** Compiles a module's Solid JSX; the result is TypeScript. @returns {Promise<Made>} */
export async function solidModule(path, text) {
  const [{ default: { transformSync } }, { default: solid }] = await Promise.all([import("@babel/core"), import("babel-preset-solid")]);
  try {
    // Keeps line numbers.
    const { code } = transformSync(text, { filename: path, babelrc: false, configFile: false, retainLines: true, presets: [solid], parserOpts: { plugins: ["jsx", "typescript"] } });
    return { contents: code, loader: "ts" };
  } catch (error) {
    return { wrong: error.message.split("\n")[0].replace(/^.*?: /, "").replace(/ \(\d+:\d+\)$/, ""), at: error.loc && { line: error.loc.line, column: error.loc.column + 1 } };
  }
}

/** Compiles a Sass or Less sheet to CSS. @returns {Promise<Made>} */
export const plainSheet = (path, text, files) => (extension(path) === "less" ? lessSheet : sassSheet)(path, text, files);

const sheetLoader = (path) => (/\.module\.\w+$/.test(path) ? "local-css" : "css");

async function lessSheet(path, text, files) {
  const [{ default: createLess }, { default: AbstractFileManager }] = await Promise.all([import("less/lib/less/index.js"), import("less/lib/less/environment/abstract-file-manager.js")]);
  class Files extends AbstractFileManager {
    supports() { return true; }
    async loadFile(wanted, directory) {
      const from = join(directory, wanted.replace(/^~?@\//, "/src/").replace(/^\//, "")) ?? wanted;
      const found = [from, `${from}.less`, `${from}.css`].find((one) => files.has(one));
      if (!found) throw { type: "File", message: `there is no ${from}` };
      return { filename: found, contents: files.get(found) };
    }
  }
  const less = createLess({}, [new Files()]);
  // Plugins are the project's code, which does not run here.
  less.PluginLoader = class { loadPlugin() { return Promise.reject({ message: "plugins of Less do not run here" }); } };
  try {
    const { css } = await less.render(text, { filename: path, rewriteUrls: "all", javascriptEnabled: false });
    return { contents: css, loader: sheetLoader(path) };
  } catch (error) {
    return { wrong: error.message ?? "Less cannot read it", in: error.filename, at: error.line && { line: error.line, column: error.column + 1 } };
  }
}

async function sassSheet(path, text, files) {
  // Sass reports error positions relative to `location`, which a Worker does not have.
  globalThis.location ??= { href: "project:///" };
  const sass = await import("sass");
  const importer = {
    canonicalize(url, { containingUrl }) {
      const from = folder((containingUrl ?? new URL(`project:///${path}`)).pathname.slice(1));
      const wanted = url.startsWith("project:") ? decodeURI(new URL(url).pathname.slice(1)) : join(decodeURI(from), url.replace(/^~?@\//, "src/"));
      const stem = wanted === undefined ? "" : wanted.replace(/\.(scss|sass|css)$/, "");
      const partial = `${folder(stem)}_${name(stem)}`;
      const found = [stem, partial, `${stem}/index`, `${stem}/_index`].flatMap((one) => [`${one}.scss`, `${one}.sass`, `${one}.css`]).find((one) => files.has(one));
      return found ? new URL(`project:///${encodeURI(found)}`) : null;
    },
    load(url) {
      const found = decodeURI(url.pathname.slice(1));
      return { contents: files.get(found), syntax: { sass: "indented", css: "css" }[extension(found)] ?? "scss" };
    },
  };
  try {
    const { css } = sass.compileString(text, { url: new URL(`project:///${encodeURI(path)}`), importer, syntax: extension(path) === "sass" ? "indented" : "scss", logger: sass.Logger.silent });
    return { contents: css, loader: sheetLoader(path) };
  } catch (error) {
    const start = error.span?.start;
    return { wrong: (error.sassMessage ?? error.message).split("\n")[0], at: start && { line: start.line + 1, column: start.column + 1 } };
  }
}
