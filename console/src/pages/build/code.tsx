// The code of a project: its files as a tree, one of them in the editor, and
// what was changed there as a version of its own.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError } from "../../api/client.ts";
import { place, replace, view } from "../../routes.ts";
import { texts } from "../../texts.ts";
import { Icon } from "../../ui/icon.tsx";
import { Action, Button, Confirm, Dialog, Empty, Failure, Field, Loading, Tag, say } from "../../ui/parts.tsx";
import { saveFile } from "../../ui/save.ts";
import { zipOf } from "../../ui/zip.ts";
import type { EditorHandle } from "./editor.ts";
import type { Code, Workspace } from "./workspace.ts";

const t = texts.build;

export function CodePane({ of }: { of: Workspace }) {
  const saved = of.code.value;
  const edits = of.edits.value;
  const code = useMemo<Code>(() => ({ ...saved, ...edits }), [saved, edits]);
  const paths = Object.keys(code).sort(byFolder);
  const path = place.value.query.get("file") ?? first(paths);
  const [search, setSearch] = useState("");
  const [isAdding, setIsAdding] = useState(false);
  const [isBeforeDelete, setIsBeforeDelete] = useState(false);
  const [isConflict, setIsConflict] = useState(false);
  const dirty = Object.keys(edits).filter((path) => edits[path] !== saved[path]);
  const line = Number(place.value.query.get("line")) || undefined;
  const open = (path: string, line?: number) => replace(view(of.id, ["code"], { file: path, line: line ? String(line) : "" }));

  // Who closes the window with changes that are not saved is asked first.
  useEffect(() => {
    if (dirty.length === 0) return undefined;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [dirty.length > 0]);

  async function save(isForced = false) {
    try {
      await of.save(code, isForced);
      say(t.savedAs(of.project.value?.version ?? 0));
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 412) throw error;
      setIsConflict(true);
    }
  }

  if (paths.length === 0 && !isAdding) {
    return <div class="pane-fill"><Empty icon="code" title={t.noCode}><p class="soft">{t.noCodeHint}</p><Button icon="plus" onClick={() => setIsAdding(true)}>{t.newFile}</Button></Empty></div>;
  }
  return (
    <div class="code">
      <aside class="tree" aria-label={t.files}>
        <Field label={t.searchFiles} type="search" class="search" value={search} placeholder={t.searchFiles} onInput={(event) => setSearch(event.currentTarget.value)} />
        {search.trim() ? <Matches code={code} words={search.trim()} open={open} /> : <Tree paths={paths} current={path} dirty={dirty} open={open} />}
        <Button look="quiet" icon="plus" onClick={() => setIsAdding(true)}>{t.newFile}</Button>
        <Button look="quiet" icon="download" onClick={() => saveFile(zipOf(code), `${of.project.value?.name ?? of.id}.zip`)}>{t.zip}</Button>
      </aside>
      <div class="editor-side">
        <div class="pane-bar">
          <span class="address"><bdi>{path ?? ""}</bdi> {path !== undefined && dirty.includes(path) && <Tag tone="busy">{t.notSaved}</Tag>}</span>
          {path !== undefined && paths.length > 1 && <Button look="quiet" icon="trash" aria-label={t.deleteFile(path)} title={t.deleteFile(path)} onClick={() => setIsBeforeDelete(true)} />}
          {dirty.length > 0 && <Button onClick={() => (of.edits.value = {})}>{t.discard}</Button>}
          <Action look={dirty.length > 0 ? "primary" : "plain"} icon="check" disabled={dirty.length === 0} run={() => save()}>{t.save}</Action>
        </div>
        {path !== undefined && code[path] !== undefined
          ? <Editor key={path} path={path} saved={saved[path] ?? ""} edited={edits[path]} line={line} onChange={(content) => of.edit(path, content)} onSave={() => save().catch((error: Error) => say(error.message, "error"))} />
          : <div class="pane-fill"><Empty icon="file" title={t.noSuchFile} /></div>}
      </div>
      {isAdding && <NewFile paths={paths} onClose={() => setIsAdding(false)} onMake={(path) => { of.edit(path, ""); setIsAdding(false); open(path); }} />}
      {isBeforeDelete && path !== undefined && (
        <Confirm title={t.deleteFile(path)} words={t.deleteFileWords} action={t.delete} onClose={() => setIsBeforeDelete(false)}
          run={async () => { await of.save(without(code, path)); replace(view(of.id, ["code"])); }} />
      )}
      {isConflict && (
        <Dialog title={t.conflict} onClose={() => setIsConflict(false)}>
          <p>{t.conflictWords}</p>
          <div class="row end">
            <Action run={async () => { of.edits.value = {}; await of.loadProject(); setIsConflict(false); }}>{t.takeTheirs}</Action>
            <Action look="primary" run={async () => { await save(true); setIsConflict(false); }}>{t.keepMine}</Action>
          </div>
        </Dialog>
      )}
    </div>
  );
}

const first = (paths: string[]): string | undefined => paths.find((path) => path === "index.html") ?? paths.find((path) => /^src\/App\./.test(path)) ?? paths[0];

function without(code: Code, path: string): Code {
  return Object.fromEntries(Object.entries(code).filter(([name]) => name !== path));
}

/** Folders before files, each by name. */
function byFolder(a: string, b: string): number {
  const [left, right] = [a.split("/"), b.split("/")];
  for (let at = 0; at < Math.min(left.length, right.length); at += 1) {
    const [one = "", other = ""] = [left[at], right[at]];
    if (one === other) continue;
    const isFile = [at === left.length - 1, at === right.length - 1];
    if (isFile[0] !== isFile[1]) return isFile[0] ? 1 : -1;
    return one.localeCompare(other);
  }
  return left.length - right.length;
}

function Tree({ paths, current, dirty, open }: { paths: string[]; current: string | undefined; dirty: string[]; open: (path: string) => void }) {
  let folder = "";
  return (
    <ul class="files">
      {paths.map((path) => {
        const own = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
        const isNew = own !== folder;
        folder = own;
        return (
          <li key={path}>
            {isNew && own !== "" && <span class="folder"><Icon name="folder" size={14} /> <bdi>{own}</bdi></span>}
            <button type="button" class={own ? "in-folder" : ""} aria-current={path === current ? "true" : undefined} onClick={() => open(path)} title={path}>
              <Icon name="file" size={14} /> <bdi>{path.slice(own ? own.length + 1 : 0)}</bdi>
              {dirty.includes(path) && <span class="dot" role="img" aria-label={t.notSaved} />}
            </button>
          </li>
        );
      })}
    </ul>
  );
}

const MAX_MATCHES = 200;

function Matches({ code, words, open }: { code: Code; words: string; open: (path: string, line: number) => void }) {
  const wanted = words.toLowerCase();
  const found = Object.entries(code).flatMap(([path, content]) => [
    ...(path.toLowerCase().includes(wanted) ? [{ path, line: 0, text: path }] : []),
    ...content.split("\n").flatMap((text, at) => (text.toLowerCase().includes(wanted) ? [{ path, line: at + 1, text: text.trim() }] : [])),
  ]);
  return (
    <>
      <p class="soft small" role="status">{t.matches(found.length)}</p>
      <ul class="files matches">
        {found.slice(0, MAX_MATCHES).map(({ path, line, text }) => (
          <li key={`${path}:${line}`}>
            <button type="button" onClick={() => open(path, line)}>
              <span class="soft small"><bdi>{path}</bdi>{line > 0 && `:${line}`}</span>
              <code dir="auto">{text.slice(0, 120)}</code>
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

function NewFile({ paths, onMake, onClose }: { paths: string[]; onMake: (path: string) => void; onClose: () => void }) {
  const [path, setPath] = useState("");
  const wrong = path.trim() !== "" && wrongWith(path.trim(), paths);
  return (
    <Dialog title={t.newFile} onClose={onClose}>
      <form onSubmit={(event) => { event.preventDefault(); if (path.trim() && !wrong) onMake(path.trim()); }}>
        <Field label={t.path} placeholder="pages/about.html" value={path} autofocus spellcheck={false} onInput={(event) => setPath(event.currentTarget.value)} />
        {wrong && <p class="hint bad" role="alert">{wrong}</p>}
        <div class="row end"><Button onClick={onClose}>{texts.cancel}</Button><Button type="submit" look="primary">{t.makeFile}</Button></div>
      </form>
    </Dialog>
  );
}

function wrongWith(path: string, paths: string[]): string | undefined {
  if (paths.includes(path)) return t.fileExists;
  return /^\/|\\|(^|\/)\.\.?(\/|$)|\/\/|\/$/.test(path) ? t.badPath : undefined;
}

function Editor({ path, saved, edited, line, onChange, onSave }: { path: string; saved: string; edited: string | undefined; line: number | undefined; onChange: (content: string) => void; onSave: () => void }) {
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<EditorHandle | undefined>(undefined);
  const [error, setError] = useState<unknown>();
  const [isReady, setIsReady] = useState(false);
  const latest = useRef({ onChange, onSave });
  latest.current = { onChange, onSave };

  useEffect(() => {
    let isGone = false;
    import("./editor.ts").then(({ edit }) => {
      if (isGone || !host.current) return;
      editor.current = edit(host.current, { path, content: edited ?? saved, label: t.editorOf(path), onChange: (text) => latest.current.onChange(text), onSave: () => latest.current.onSave() });
      setIsReady(true);
    }, setError);
    return () => {
      isGone = true;
      editor.current?.close();
    };
  }, []);
  // A new version, or changes that were discarded. Before the next key comes, which it would take back.
  const isEdited = edited !== undefined;
  useLayoutEffect(() => {
    if (!isEdited) editor.current?.show(saved);
  }, [saved, isEdited]);

  useEffect(() => {
    if (isReady && line !== undefined) editor.current?.goTo(line);
  }, [isReady, line]);

  if (error !== undefined) return <Failure error={new Error(t.editorMissing)} retry={() => location.reload()} />;
  return <>{!isReady && <Loading />}<div class="editor" ref={host} /></>;
}
