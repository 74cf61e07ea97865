// Parses pages with parse5 and keeps source positions, so that edits change
// only what they must.

import { parse } from "parse5";

/**
 * @typedef {object} Element
 * @property {string} name
 * @property {Map<string, string>} attributes
 * @property {(name: string) => {start: number, end: number} | undefined} place where an attribute is written
 * @property {{start: number, end: number}} tag the start tag
 * @property {{start: number, end: number}} content between its tags
 * @property {number} end of the end tag
 */

/** Every element in the page's source, in order. @returns {Element[]} */
export function elements(html) {
  const found = [];
  collect(parse(html, { sourceCodeLocationInfo: true }), found);
  return found;
}

function collect(node, found) {
  for (const child of node.content ? [node.content, ...(node.childNodes ?? [])] : node.childNodes ?? []) {
    const place = child.sourceCodeLocation;
    if (child.tagName && place) found.push(element(child, place));
    collect(child, found);
  }
}

function element(node, place) {
  const tag = { start: place.startTag?.startOffset ?? place.startOffset, end: place.startTag?.endOffset ?? place.endOffset };
  const contentEnd = place.endTag?.startOffset ?? (place.startTag ? place.endOffset : tag.end);
  return {
    name: node.tagName,
    attributes: new Map(node.attrs.map(({ name, value }) => [name, value])),
    place: (name) => {
      const at = (place.startTag?.attrs ?? place.attrs)?.[name];
      return at && { start: at.startOffset, end: at.endOffset };
    },
    tag,
    content: { start: tag.end, end: contentEnd },
    end: place.endTag?.endOffset ?? Math.max(tag.end, contentEnd),
  };
}

/** Where a page's head begins; never before the doctype. */
export function headStart(html) {
  const document = parse(html, { sourceCodeLocationInfo: true });
  const root = document.childNodes.find(({ tagName }) => tagName === "html");
  const head = root?.childNodes.find(({ tagName }) => tagName === "head");
  const doctype = document.childNodes.find(({ nodeName }) => nodeName === "#documentType");
  const place = head?.sourceCodeLocation?.startTag ?? root?.sourceCodeLocation?.startTag ?? doctype?.sourceCodeLocation;
  return place?.endOffset ?? 0;
}

/** Where the head ends: at its end tag, or before the body. */
export function headEnd(html) {
  const root = parse(html, { sourceCodeLocationInfo: true }).childNodes.find(({ tagName }) => tagName === "html");
  const of = (name) => root?.childNodes.find(({ tagName }) => tagName === name)?.sourceCodeLocation;
  const place = of("head")?.endTag?.startOffset ?? of("body")?.startTag?.startOffset;
  return place ?? headStart(html);
}

export const isModuleScript = ({ name, attributes }) => name === "script" && attributes.get("type")?.toLowerCase() === "module";

/** A text as an attribute's value. */
export const quoted = (value) => `"${value.replace(/&/g, "&amp;").replace(/"/g, "&quot;").replace(/</g, "&lt;")}"`;
export const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
