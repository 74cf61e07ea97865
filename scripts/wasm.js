// Reads Wasm binaries (webassembly.github.io/spec/core/binary): sections, the code and the names of functions.

export const CUSTOM = 0;
export const IMPORTS = 2;
export const CODE = 10;
export const DATA = 11;
export const FUNCTION_NAMES = 1;
const FUNCTION = 0;
/** What follows the kind of an import that is no function: its type, as so many LEB128 numbers. */
const WALKED = { 2: "limits", 1: "table", 3: "global", 4: "tag" };

/** Reads what a Wasm binary is made of, from `at` on. */
class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  byte() {
    return this.bytes[this.at++];
  }

  /** An unsigned LEB128 number. */
  number() {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  take(length) {
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  text() {
    return Buffer.from(this.take(this.number())).toString();
  }

  limits() {
    const flags = this.byte();
    this.number();
    if (flags & 1) this.number();
  }

  /** Goes past the type of an import that is no function. */
  type(kind) {
    const what = WALKED[kind];
    if (what === "table") this.byte();
    if (what === "table" || what === "limits") this.limits();
    else this.take(2);
  }
}

/** The sections of a Wasm binary: their kinds and bytes. */
export function sections(wasm) {
  const reader = new Reader(wasm, 8);
  const found = [];
  while (reader.at < wasm.length) {
    const kind = reader.byte();
    const bytes = reader.take(reader.number());
    found.push({ kind, bytes });
  }
  return found;
}

/** How many functions are imported. They have the first indexes. */
export function importedFunctions(bytes) {
  const reader = new Reader(bytes);
  let functions = 0;
  for (let left = reader.number(); left > 0; left--) {
    reader.text();
    reader.text();
    const kind = reader.byte();
    if (kind === FUNCTION) functions += 1;
    if (kind === FUNCTION) reader.number();
    else reader.type(kind);
  }
  return functions;
}

/** The names of functions by their index; none when the binary has no such section. */
export function functionNames(custom) {
  const reader = new Reader(custom);
  if (reader.text() !== "name") return undefined;
  const names = new Map();
  while (reader.at < custom.length) {
    const kind = reader.byte();
    const part = new Reader(reader.take(reader.number()));
    if (kind !== FUNCTION_NAMES) continue;
    for (let left = part.number(); left > 0; left--) names.set(part.number(), part.text());
  }
  return names;
}

/** The code of each function that is not imported, in the order of their indexes. */
export function functions(wasm) {
  const code = new Reader(sections(wasm).find(({ kind }) => kind === CODE).bytes);
  return Array.from({ length: code.number() }, () => code.take(code.number()));
}
