// The versions of a project's code: each can be read, compared with any
// other, and made the newest again.

import { useEffect, useRef, useState } from "preact/hooks";
import type { FileStatus, Version } from "../../api/types.ts";
import { go, view } from "../../routes.ts";
import { texts } from "../../texts.ts";
import { Icon } from "../../ui/icon.tsx";
import { Action, Choice, Empty, Failure, Tag, Time } from "../../ui/parts.tsx";
import { ListEnd, Load, useList, useLoad } from "../../ui/load.tsx";
import type { EditorHandle } from "./editor.ts";
import type { Code, Workspace } from "./workspace.ts";

const t = texts.build;

export function VersionsPane({ of, opened, against }: { of: Workspace; opened: string | undefined; against: string | undefined }) {
  if (opened === undefined) return <VersionList of={of} />;
  return <OpenedVersion of={of} version={Number(opened)} against={against === undefined ? undefined : Number(against)} />;
}

const addressOf = (of: Workspace, ...versions: number[]): string => view(of.id, ["versions", ...versions.map(String)]);

function VersionList({ of }: { of: Workspace }) {
  const versions = useList<Version>(`/api/projects/${of.id}/versions?limit=30`);
  const current = of.project.value?.version;
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
              <p class="name"><a href={addressOf(of, version)}>{t.version(version)}</a> {version === current && <Tag tone="good">{t.current}</Tag>}</p>
              <p class="soft small">{t.origins[origin]} · {t.filesCount(files)} · <Time of={createdAt} /></p>
            </div>
            {version > 1 && <a class="button quiet" href={addressOf(of, version - 1, version)}><Icon name="code" /> <span>{t.whatChanged}</span></a>}
            {version !== current && <Action icon="history" run={() => of.rollBack(version)} done={t.rolledBack(version)}>{t.rollBack}</Action>}
          </li>
        ))}
      </ol>
      <ListEnd of={versions} empty={<Empty icon="history" title={t.noVersions} />} />
    </div>
  );
}

/** A version's code, or with `against` what is other in that one. */
function OpenedVersion({ of, version, against }: { of: Workspace; version: number; against: number | undefined }) {
  const current = of.project.value?.version ?? version;
  const codes = useLoad((signal) => Promise.all([of.codeOf(version, signal), against === undefined ? undefined : of.codeOf(against, signal)]), `${version}/${against}`);
  const numbers = Array.from({ length: current }, (_, at) => current - at);
  const options = numbers.map((number) => [String(number), t.version(number)] as const);
  const shown = against ?? version;
  return (
    <div class="code-pane">
      <div class="pane-bar">
        <a class="button quiet bare" href={addressOf(of)} aria-label={t.allVersions} title={t.allVersions}><Icon name="back" /></a>
        <Choice label={against === undefined ? t.shownVersion : t.fromLabel} isHidden value={String(version)} options={options}
          onChange={(chosen) => go(addressOf(of, Number(chosen), ...(against === undefined ? [] : [against])))} />
        <span class="soft" aria-hidden="true">{against === undefined ? "" : "→"}</span>
        <Choice label={t.compareWith} isHidden value={against === undefined ? "" : String(against)} options={[["", t.withNone], ...options]}
          onChange={(chosen) => go(addressOf(of, version, ...(chosen === "" ? [] : [Number(chosen)])))} />
        <span class="grow" />
        {shown !== current && <Action icon="history" run={async () => { await of.rollBack(shown); go(addressOf(of)); }} done={t.rolledBack(shown)}>{t.rollBackTo(shown)}</Action>}
      </div>
      <Load of={codes}>{([code, other]) => <Files key={`${version}/${against}`} before={other && code} code={other ?? code} />}</Load>
    </div>
  );
}

const STATUS_TONES = { added: "good", changed: "busy", removed: "bad" } as const;

function statusOf(path: string, before: Code | undefined, code: Code): Extract<FileStatus, "added" | "changed"> | "removed" | undefined {
  if (!before || before[path] === code[path]) return undefined;
  if (before[path] === undefined) return "added";
  return code[path] === undefined ? "removed" : "changed";
}

/** The files of a version; with another before it, those that differ. */
function Files({ before, code }: { before: Code | undefined; code: Code }) {
  const all = [...new Set([...Object.keys(before ?? {}), ...Object.keys(code)])].sort();
  const paths = before ? all.filter((path) => before[path] !== code[path]) : all;
  const [path, setPath] = useState(paths.find((each) => each === "index.html") ?? paths[0]);
  if (path === undefined) return <div class="pane-fill"><Empty icon="check" title={before ? t.same : t.noCode} /></div>;
  return (
    <div class="code">
      <nav class="tree" aria-label={before ? t.changedFiles : t.files}>
        <ul class="files">
          {paths.map((each) => {
            const status = statusOf(each, before, code);
            return (
              <li key={each}>
                <button type="button" aria-current={each === path ? "true" : undefined} title={each} onClick={() => setPath(each)}>
                  <Icon name="file" size={14} /> <bdi>{each}</bdi> {status && <Tag tone={STATUS_TONES[status]}>{t.diffMarks[status]}</Tag>}
                </button>
              </li>
            );
          })}
        </ul>
      </nav>
      <div class="editor-side"><Reader key={path} path={path} before={before && (before[path] ?? "")} content={code[path] ?? ""} /></div>
    </div>
  );
}

function Reader({ path, before, content }: { path: string; before: string | undefined; content: string }) {
  const host = useRef<HTMLDivElement>(null);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    let handle: EditorHandle | undefined, isGone = false;
    import("./editor.ts").then(({ diff, show }) => {
      if (isGone || !host.current) return;
      handle = before === undefined ? show(host.current, { path, content, label: t.contentOf(path) }) : diff(host.current, { path, before, content, label: t.changesOf(path) });
    }, setError);
    return () => {
      isGone = true;
      handle?.close();
    };
  }, []);
  return error === undefined ? <div class="editor" ref={host} /> : <Failure error={new Error(t.editorMissing)} />;
}
