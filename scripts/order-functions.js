// `node scripts/order-functions.js <file.wasm>`: names each function by its place in an order in which the file is small
// after gzip, which looks back 32 KB only: similar functions are near each other. `wasm-opt --reorder-functions-by-name`
// puts them so. It is what LLVM does as "balanced partitioning" for native code (arxiv.org/abs/2211.09285).
//
// Each next function is the one that has most of itself in common, for its length, with the last 32 KB.

import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { CUSTOM, FUNCTION_NAMES, IMPORTS, functionNames, functions, importedFunctions, sections } from "./wasm.js";

/** What functions have in common is counted in pieces of so many bytes. */
const PIECE = 6;
/** What more functions have than these says little of any of them. */
const COMMON = 40;
/** A little less than gzip's window. */
const WINDOW = 30_000;
/** Of a short function much is in the window by chance, so each counts as so much longer. */
const SHORT = 200;

/** The pieces of each code that several have, as numbers from 0. */
function piecesOf(codes) {
  const found = codes.map((code) => new Set(Array.from({ length: Math.max(code.length - PIECE + 1, 0) }, (_, at) => code.latin1Slice(at, at + PIECE))));
  const counts = new Map();
  for (const pieces of found) for (const piece of pieces) counts.set(piece, (counts.get(piece) ?? 0) + 1);
  const numbers = new Map();
  const numberOf = (piece) => numbers.get(piece) ?? numbers.set(piece, numbers.size).get(piece);
  const isTelling = (piece) => counts.get(piece) > 1 && counts.get(piece) <= COMMON;
  return found.map((pieces) => [...pieces].filter(isTelling).map(numberOf));
}

/** The indexes of `codes` in an order in which similar ones follow each other. */
export function ordered(codes) {
  const pieces = piecesOf(codes);
  const having = [];
  pieces.forEach((all, index) => all.forEach((piece) => (having[piece] ??= []).push(index)));
  const [inWindow, common] = [new Uint16Array(having.length), new Uint32Array(codes.length)];
  const enter = (index) => pieces[index].forEach((piece) => (inWindow[piece]++ === 0) && having[piece].forEach((other) => (common[other] += 1)));
  const leave = (index) => pieces[index].forEach((piece) => (--inWindow[piece] === 0) && having[piece].forEach((other) => (common[other] -= 1)));

  const left = new Set(codes.keys());
  const order = [];
  let [first, bytes] = [0, 0];
  for (let next = 0; left.size > 0; next = nearest(left, codes, common)) {
    left.delete(next);
    order.push(next);
    enter(next);
    bytes += codes[next].length;
    for (; bytes > WINDOW && first < order.length - 1; first++) {
      leave(order[first]);
      bytes -= codes[order[first]].length;
    }
  }
  return order;
}

function nearest(left, codes, common) {
  let [best, most] = [undefined, -1];
  for (const index of left) {
    const share = common[index] / (codes[index].length + SHORT);
    if (share > most) [best, most] = [index, share];
  }
  return best;
}

/** An unsigned LEB128 number. */
function leb128(number) {
  const bytes = [];
  for (; number > 127; number = Math.floor(number / 128)) bytes.push((number % 128) + 128);
  return Buffer.from([...bytes, number]);
}

const sized = (...parts) => [leb128(parts.reduce((sum, part) => sum + part.length, 0)), ...parts];

/** The binary, whose functions have names that sort as `order` has their indexes. */
export function named(wasm, order) {
  const imported = importedFunctions(sections(wasm).find(({ kind }) => kind === IMPORTS).bytes);
  const places = order.map((index, place) => [imported + index, String(place).padStart(7, "0")]).sort(([a], [b]) => a - b);
  const names = places.flatMap(([index, name]) => [leb128(index), ...sized(Buffer.from(name))]);
  const section = sized(...sized(Buffer.from("name")), Buffer.from([FUNCTION_NAMES]), ...sized(leb128(places.length), ...names));
  const others = sections(wasm).filter(({ kind, bytes }) => kind !== CUSTOM || !functionNames(bytes));
  const written = others.flatMap(({ kind, bytes }) => [Buffer.from([kind]), ...sized(bytes)]);
  return Buffer.concat([wasm.subarray(0, 8), ...written, Buffer.from([CUSTOM]), ...section]);
}

function main([file]) {
  const wasm = readFileSync(file);
  writeFileSync(file, named(wasm, ordered(functions(wasm))));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) main(process.argv.slice(2));
