// The editor and the diff, by CodeMirror: loaded when one of them is opened.
//
// They live in a shadow root, where CodeMirror's styles are style sheets made
// by script: the page's policy allows no `<style>`.

import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { css } from "@codemirror/lang-css";
import { html } from "@codemirror/lang-html";
import { javascript } from "@codemirror/lang-javascript";
import { json } from "@codemirror/lang-json";
import { markdown } from "@codemirror/lang-markdown";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { unifiedMergeView } from "@codemirror/merge";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { EditorState, type Extension } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { isDark } from "../../theme.ts";

export interface EditorHandle {
  show(content: string): void;
  /** Goes to a line, the first of which is 1. */
  goTo(line: number): void;
  close(): void;
}

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.modifier, tags.operatorKeyword], color: "var(--code-keyword)" },
  { tag: [tags.string, tags.regexp, tags.attributeValue], color: "var(--code-string)" },
  { tag: [tags.comment, tags.meta], color: "var(--code-comment)", fontStyle: "italic" },
  { tag: [tags.number, tags.bool, tags.atom, tags.null], color: "var(--code-number)" },
  { tag: [tags.tagName, tags.typeName, tags.className], color: "var(--code-tag)" },
  { tag: [tags.propertyName, tags.attributeName], color: "var(--code-property)" },
  { tag: [tags.function(tags.variableName), tags.definition(tags.variableName)], color: "var(--code-name)" },
  { tag: tags.heading, fontWeight: "700" },
]);

const look = () => EditorView.theme({
  "&": { height: "100%", backgroundColor: "var(--panel)", color: "var(--ink)", fontSize: "13px" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.65" },
  ".cm-gutters": { backgroundColor: "var(--panel)", color: "var(--soft)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--hover)" },
  "&.cm-focused": { outline: "none" },
  ".cm-cursor": { borderInlineStartColor: "var(--ink)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--selection)" },
  ".cm-panels": { backgroundColor: "var(--ground)", color: "var(--ink)", borderColor: "var(--line)" },
  ".cm-textfield, .cm-button": { backgroundImage: "none", backgroundColor: "var(--panel)", color: "var(--ink)", border: "1px solid var(--line)", borderRadius: "6px" },
  ".cm-deletedChunk": { backgroundColor: "var(--bad-ground)" },
  ".cm-changedLine, .cm-insertedLine": { backgroundColor: "var(--good-ground) !important" },
  ".cm-changedText": { background: "var(--good-mark) !important" },
  ".cm-deletedChunk .cm-deletedText": { background: "var(--bad-mark) !important" },
  ".cm-collapsedLines": { background: "var(--hover)", color: "var(--soft)" },
  // Their own mark is in few fonts.
  ".cm-collapsedLines:before, .cm-collapsedLines:after": { content: '"…"' },
}, { dark: isDark() });

function languageOf(path: string): Extension {
  const extension = path.split(".").at(-1) ?? "";
  if (/^(html?|svg|vue|svelte|xml)$/.test(extension)) return html();
  if (/^(css|scss|less)$/.test(extension)) return css();
  if (/^(jsx?|mjs|cjs)$/.test(extension)) return javascript({ jsx: true });
  if (/^(tsx?|mts|cts)$/.test(extension)) return javascript({ jsx: extension === "tsx", typescript: true });
  if (/^(json|webmanifest)$/.test(extension)) return json();
  return /^(md|mdx)$/.test(extension) ? markdown() : [];
}

function rootOf(host: HTMLElement): ShadowRoot {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  root.replaceChildren();
  return root;
}

function open(host: HTMLElement, content: string, extensions: Extension): EditorView {
  const root = rootOf(host);
  const view = new EditorView({ root, parent: root, state: EditorState.create({ doc: content, extensions: [lineNumbers(), drawSelection(), syntaxHighlighting(colours), look(), extensions] }) });
  return view;
}

export function edit(host: HTMLElement, { path, content, label, onChange, onSave }: {
  path: string; content: string; label: string; onChange: (content: string) => void; onSave: () => void;
}): EditorHandle {
  const save = { key: "Mod-s", preventDefault: true, run: () => { onSave(); return true; } };
  // What is put there by show() is no change of whoever writes.
  let isShowing = false;
  const view = open(host, content, [
    history(), indentOnInput(), bracketMatching(), highlightActiveLine(), highlightActiveLineGutter(), highlightSelectionMatches(), search({ top: true }),
    // Tab indents; Escape and then Tab leaves the editor, for whoever has no mouse.
    keymap.of([save, ...defaultKeymap, ...historyKeymap, ...searchKeymap, indentWithTab]),
    languageOf(path),
    EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
    EditorView.updateListener.of((update) => update.docChanged && !isShowing && onChange(update.state.doc.toString())),
  ]);
  return {
    show(content) {
      if (content === view.state.doc.toString()) return;
      isShowing = true;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: content } });
      isShowing = false;
    },
    goTo(line) {
      const { from } = view.state.doc.line(Math.min(Math.max(line, 1), view.state.doc.lines));
      view.dispatch({ selection: { anchor: from }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
      view.focus();
    },
    close: () => view.destroy(),
  };
}

/** A file that is only read. */
export function show(host: HTMLElement, { path, content, label }: { path: string; content: string; label: string }): EditorHandle {
  const view = open(host, content, [readOnly(label), languageOf(path), search({ top: true }), keymap.of(searchKeymap)]);
  return { show() {}, goTo() {}, close: () => view.destroy() };
}

const readOnly = (label: string): Extension => [EditorState.readOnly.of(true), EditorView.editable.of(false), EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0", role: "textbox", "aria-readonly": "true", "aria-multiline": "true" })];

/** What is other in `content` than in `before`. */
export function diff(host: HTMLElement, { path, before, content, label }: { path: string; before: string; content: string; label: string }): EditorHandle {
  const view = open(host, content, [
    readOnly(label), languageOf(path),
    unifiedMergeView({ original: before, mergeControls: false, collapseUnchanged: { margin: 3, minSize: 6 } }),
  ]);
  return { show() {}, goTo() {}, close: () => view.destroy() };
}
