// The versions of a project's code: back to one of them, and what changed.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Version } from "../../api/types.ts";
import { texts } from "../../texts.ts";
import { Action, Button, Choice, Dialog, Empty, Failure, Tag, Time } from "../../ui/parts.tsx";
import { ListEnd, useList } from "../../ui/load.tsx";
import type { EditorHandle } from "./editor.ts";
import type { Code, Workspace } from "./workspace.ts";

const t = texts.build;

export function VersionsPane({ of }: { of: Workspace }) {
  const versions = useList<Version>(`/api/projects/${of.id}/versions?limit=30`);
  const current = of.project.value?.version;
  const [compared, setCompared] = useState<number>();
  const isFirst = useRef(true);

  useEffect(() => {
    if (!isFirst.current) versions.reload();
    isFirst.current = false;
  }, [current]);

  return (
    <div class="pane-scroll">
      <ol class="versions" aria-label={t.versions}>
        {versions.items.map(({ version, origin, files, createdAt }) => (
          <li key={version} class={version === current ? "current" : ""}>
            <span class="number" aria-hidden="true">{version}</span>
            <div class="grow">
              <p class="name">{t.version(version)} {version === current && <Tag tone="good">{t.current}</Tag>}</p>
              <p class="soft small">{t.origins[origin]} · {t.filesCount(files)} · <Time of={createdAt} /></p>
            </div>
            {of.seen.value[version] && version !== current && <Button look="quiet" icon="code" onClick={() => setCompared(version)}>{t.compare}</Button>}
            {version !== current && <Action icon="history" run={() => of.rollBack(version)} done={t.rolledBack(version)}>{t.rollBack}</Action>}
          </li>
        ))}
      </ol>
      <ListEnd of={versions} empty={<Empty icon="history" title={t.noVersions} />} />
      {compared !== undefined && current !== undefined && (
        <Compare title={t.comparing(compared, current)} before={of.seen.value[compared] ?? {}} after={of.code.value} onClose={() => setCompared(undefined)} />
      )}
    </div>
  );
}

function Compare({ title, before, after, onClose }: { title: string; before: Code; after: Code; onClose: () => void }) {
  const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((path) => before[path] !== after[path]).sort();
  const [path, setPath] = useState(changed[0]);
  return (
    <Dialog title={title} onClose={onClose}>
      {path === undefined ? <Empty icon="check" title={t.same} /> : (
        <>
          <Choice label={t.changedFile} value={path} onChange={setPath} options={changed.map((path) => [path, path] as const)} />
          <Diff key={path} path={path} before={before[path] ?? ""} content={after[path] ?? ""} />
        </>
      )}
    </Dialog>
  );
}

function Diff({ path, before, content }: { path: string; before: string; content: string }) {
  const host = useRef<HTMLDivElement>(null);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    let handle: EditorHandle | undefined, isGone = false;
    import("./editor.ts").then(({ diff }) => {
      if (!isGone && host.current) handle = diff(host.current, { path, before, content, label: t.changesOf(path) });
    }, setError);
    return () => {
      isGone = true;
      handle?.close();
    };
  }, []);
  return error === undefined ? <div class="diff" ref={host} /> : <Failure error={new Error(t.editorMissing)} />;
}
