// Evaluates a configuration that is written as plain data, such as
// tailwind.config.ts, without running its code. Only functions that we provide
// are called: those of Tailwind's modules, and those that they return.

import { parsed } from "./source.js";

/** More steps than any real configuration needs; stops endless recursion. */
const MOST_STEPS = 100_000;

/** An expression is not plain data. */
class NotData extends Error {}

/**
 * The value of a module's default export.
 * @param {string} path
 * @param {string} text
 * @param {Map<string, unknown>} modules the modules that it may import, by name
 * @returns {{value?: unknown, leftOut: string[]}} with descriptions of the parts that were left out
 */
export function defaultExport(path, text, modules) {
  const tree = parsed(path, text);
  const reader = new Reader(text, modules);
  for (const node of tree?.program.body ?? []) reader.declare(node);
  const exported = (tree?.program.body ?? []).map(exportedBy).find(Boolean);
  return { value: exported && reader.lenient(exported, reader.module), leftOut: reader.leftOut };
}

function exportedBy(node) {
  if (node.type === "ExportDefaultDeclaration") return node.declaration;
  const { type, left, right } = node.expression ?? {};
  return type === "AssignmentExpression" && left.object?.name === "module" && left.property?.name === "exports" ? right : undefined;
}

class Reader {
  constructor(text, modules) {
    Object.assign(this, { text, modules, module: new Map(), constants: new Map(), leftOut: [], steps: 0 });
  }

  /** Declares the module's names: its imports and constants. */
  declare(node) {
    if (node.type === "ImportDeclaration") {
      const module = this.modules.get(node.source.value);
      for (const { type, local, imported } of node.specifiers) {
        this.module.set(local.name, () => (type === "ImportSpecifier" ? this.member(module, imported.name) : module ?? this.notData(node)));
      }
    }
    for (const { id, init } of declarationsOf(node)) {
      if (id.type !== "Identifier" || !init) continue;
      this.constants.set(id.name, init);
      this.module.set(id.name, () => this.value(init, this.module));
    }
    if (node.type === "FunctionDeclaration") this.module.set(node.id.name, () => this.function(node, this.module));
  }

  notData(node) {
    throw new NotData(this.text.slice(node.start, node.end).split("\n")[0].slice(0, 60));
  }

  /** The value of an object or a list, without parts that are not plain data. */
  lenient(node, scope) {
    const inner = unwrapped(node);
    try {
      if (inner.type === "ObjectExpression") return Object.fromEntries(inner.properties.flatMap((property) => this.part(() => this.entries(property, scope, true))));
      if (inner.type === "ArrayExpression") return inner.elements.flatMap((element) => this.part(() => this.elements(element, scope)));
      if (inner.type === "Identifier" && this.constants.has(inner.name)) return this.lenient(this.constants.get(inner.name), scope);
      // A helper function that returns its argument, the configuration.
      const [argument] = inner.type === "CallExpression" ? inner.arguments : [];
      if (argument && ["ObjectExpression", "Identifier"].includes(unwrapped(argument).type)) return this.lenient(argument, scope);
      return this.value(inner, scope);
    } catch (error) {
      return this.left(error, {});
    }
  }

  part(read) {
    try {
      return read();
    } catch (error) {
      return this.left(error, []);
    }
  }

  left(error, instead) {
    const isEndless = error instanceof RangeError;
    if (!isEndless && !(error instanceof NotData)) throw error;
    this.leftOut.push(isEndless ? "functions that call each other without end" : error.message);
    return instead;
  }

  entries(property, scope, isLenient = false) {
    if (property.type === "SpreadElement") return Object.entries(this.value(property.argument, scope) ?? {});
    const key = property.computed ? this.value(property.key, scope) : property.key.name ?? property.key.value;
    if (property.type === "ObjectMethod") return [[key, this.function(property, scope)]];
    return [[key, isLenient && !/^(darkMode|prefix|important|separator)$/.test(key) ? this.lenient(property.value, scope) : this.value(property.value, scope)]];
  }

  elements(element, scope) {
    return element.type === "SpreadElement" ? [...this.value(element.argument, scope)] : [this.value(element, scope)];
  }

  value(written, scope) {
    if (++this.steps > MOST_STEPS) throw new NotData("more than a configuration says");
    const node = unwrapped(written);
    switch (node.type) {
      case "StringLiteral": case "NumericLiteral": case "BooleanLiteral": return node.value;
      case "NullLiteral": return null;
      case "TemplateLiteral": return node.quasis.map(({ value }, n) => value.cooked + (node.expressions[n] ? this.value(node.expressions[n], scope) : "")).join("");
      case "Identifier": return node.name === "undefined" ? undefined : (scope.get(node.name) ?? (() => this.notData(node)))();
      case "ObjectExpression": return Object.fromEntries(node.properties.flatMap((property) => this.entries(property, scope)));
      case "ArrayExpression": return node.elements.flatMap((element) => this.elements(element, scope));
      case "ArrowFunctionExpression": case "FunctionExpression": return this.function(node, scope);
      case "MemberExpression": return this.member(this.value(node.object, scope), node.computed ? this.value(node.property, scope) : node.property.name, node);
      case "CallExpression": return this.call(node, scope);
      case "UnaryExpression": return node.operator === "-" ? -this.value(node.argument, scope) : node.operator === "!" ? !this.value(node.argument, scope) : this.notData(node);
      case "BinaryExpression": return node.operator === "+" ? this.value(node.left, scope) + this.value(node.right, scope) : this.notData(node);
      case "ConditionalExpression": return this.value(this.value(node.test, scope) ? node.consequent : node.alternate, scope);
      default: return this.notData(node);
    }
  }

  /** Reads only own properties, so that data never leads to executable code. */
  member(object, name, node = { start: 0, end: 0 }) {
    const isOwn = (typeof object === "object" || typeof object === "function") && object !== null && Object.hasOwn(object, name);
    return isOwn && name !== "constructor" && name !== "prototype" ? object[name] : node.end ? this.notData(node) : undefined;
  }

  call(node, scope) {
    const isRequire = node.callee.name === "require" && !scope.has("require");
    if (isRequire) return this.modules.get(node.arguments[0]?.value) ?? this.notData(node);
    const callee = this.value(node.callee, scope);
    return typeof callee === "function" ? callee(...node.arguments.flatMap((argument) => this.elements(argument, scope))) : this.notData(node);
  }

  function({ params, body }, scope) {
    return (...given) => {
      const own = new Map(scope);
      params.forEach((param, n) => this.bind(param, given[n], own));
      return body.type === "BlockStatement" ? this.block(body.body, own) : this.value(body, own);
    };
  }

  bind(param, given, scope) {
    if (param.type === "Identifier") scope.set(param.name, () => given);
    else if (param.type === "ObjectPattern") for (const { key, value } of param.properties) if (value) this.bind(value, given?.[key.name], scope);
    else this.notData(param);
  }

  block(statements, scope) {
    for (const node of statements) {
      if (node.type === "ReturnStatement") return node.argument ? this.value(node.argument, scope) : undefined;
      if (node.type === "ExpressionStatement") this.value(node.expression, scope);
      else if (node.type !== "VariableDeclaration") this.notData(node);
      for (const { id, init } of declarationsOf(node)) this.bind(id, this.value(init, scope), scope);
    }
    return undefined;
  }
}

const declarationsOf = (node) => (node.type === "VariableDeclaration" ? node.declarations : node.type === "ExportNamedDeclaration" ? node.declaration?.declarations ?? [] : []);

function unwrapped(node) {
  return /^TS(As|Satisfies|NonNull)|^TSTypeAssertion|^ParenthesizedExpression/.test(node.type) ? unwrapped(node.expression) : node;
}
