// An answer as it is shown: its prose, and its files as cards of their own.
// What a model wrote is parsed by marked, and becomes markup only through
// DOMPurify's list of what is allowed.

import DOMPurify from "dompurify";
import { Marked, type Token, type Tokens } from "marked";

export type Part =
  | { kind: "prose"; fragment: () => DocumentFragment; key: string }
  | { kind: "file"; path: string; language: string; code: string; isOpen: boolean }
  | { kind: "code"; language: string; code: string };

const escaped = (text: string): string => text.replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`);

const marked = new Marked({
  gfm: true,
  async: false,
  renderer: {
    // What looks like markup is shown as it was written.
    html: ({ text }) => escaped(text),
    // An image would be a request to wherever the model says: it is told as its words and its address.
    image: ({ text, href }) => escaped(`${text} (${href})`),
  },
});

const TAGS = [
  "a", "b", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "li", "ol", "p", "pre", "s", "strong", "sub", "sup",
  "table", "tbody", "td", "th", "thead", "tr", "ul",
];
const RULES = {
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: ["href", "start", "align"],
  ALLOWED_URI_REGEXP: /^https?:\/\//i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  KEEP_CONTENT: true,
  RETURN_DOM_FRAGMENT: true as const,
};

/** Markup that nothing can hide in: no image, style, script, form or frame, and links to the web alone. */
function clean(markup: string): DocumentFragment {
  const fragment = DOMPurify.sanitize(markup, RULES);
  for (const link of fragment.querySelectorAll("a")) {
    if (!link.hasAttribute("href")) continue;
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  for (const block of fragment.querySelectorAll("p, li, h1, h2, h3, h4, h5, h6, blockquote, td, th")) block.setAttribute("dir", "auto");
  for (const block of fragment.querySelectorAll("pre")) block.tabIndex = 0;
  for (const table of fragment.querySelectorAll("table")) wrap(table);
  return fragment;
}

/** A wide table scrolls by itself. */
function wrap(table: HTMLTableElement): void {
  const box = document.createElement("div");
  box.className = "wide";
  box.tabIndex = 0;
  table.replaceWith(box);
  box.append(table);
}

export function partsOf(text: string): Part[] {
  const parts: Part[] = [];
  let prose: Token[] = [];
  const flush = () => {
    if (prose.some(({ type }) => type !== "space")) {
      const own = prose;
      parts.push({ kind: "prose", key: own.map(({ raw }) => raw).join(""), fragment: () => clean(marked.parser(own)) });
    }
    prose = [];
  };
  for (const token of marked.lexer(text)) {
    if (token.type !== "code" || (token as Tokens.Code).codeBlockStyle === "indented") {
      prose.push(token);
      continue;
    }
    flush();
    const { lang = "", text: code, raw } = token as Tokens.Code;
    const { language, path } = infoOf(lang);
    if (path) parts.push({ kind: "file", path, language, code, isOpen: !isClosed(raw) });
    else parts.push({ kind: "code", language, code });
  }
  flush();
  return parts;
}

function isClosed(raw: string): boolean {
  const fence = raw.match(/^ {0,3}(`{3,}|~{3,})/)?.[1];
  const last = raw.trimEnd().split("\n").at(-1)?.trim() ?? "";
  return fence !== undefined && raw.trimEnd().includes("\n") && last.length >= fence.length && [...last].every((mark) => mark === fence[0]);
}

/** The language and the path of a fence, in the forms that the API takes files in. */
export function infoOf(info: string): { language: string; path: string | undefined } {
  const title = info.match(/(?:title|file|filename|path)=["']?([^"'\s]+)["']?/)?.[1];
  const [word = "", second = ""] = info.trim().split(/\s+/);
  const colon = word.indexOf(":");
  const language = (colon > 0 ? word.slice(0, colon) : word).toLowerCase();
  if (title) return { language, path: title };
  if (colon > 0 && colon < word.length - 1) return { language, path: word.slice(colon + 1) };
  if (isPath(second)) return { language, path: second };
  return isPath(word) ? { language: word.split(".").at(-1) ?? "", path: word } : { language, path: undefined };
}

const isPath = (word: string): boolean => /^[\w@()[\].-][\w@()[\]./ -]*\.\w{1,8}$/.test(word);
