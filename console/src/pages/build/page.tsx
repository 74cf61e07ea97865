// A project on the bench: the conversation on one side, and on the other what
// comes of it.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../../api/client.ts";
import { go, place, to, view } from "../../routes.ts";
import { texts } from "../../texts.ts";
import { Icon } from "../../ui/icon.tsx";
import { Button, Confirm, Dialog, Failure, Field, Tabs, wordsOf, say } from "../../ui/parts.tsx";
import type { Talk } from "../apps/talk.ts";
import { Chat } from "./chat.tsx";
import { CodePane } from "./code.tsx";
import { ChooseTarget, DeploymentsPane } from "./deployments.tsx";
import { PreviewPane } from "./preview.tsx";
import { VersionsPane } from "./versions.tsx";
import { workspaceOf, type Workspace } from "./workspace.ts";

const t = texts.build;
const PANES = ["chat", "preview", "code", "versions", "deployments"] as const;
type Pane = (typeof PANES)[number];
const ICONS = { chat: "chat", preview: "eye", code: "code", versions: "history", deployments: "rocket" } as const;

/** Of the agent's apps the conversation is another one; all else is as for every project. */
export default function BuildPage({ id, talk, conversation, tools, remove }: {
  id: string; talk?: Talk; conversation?: ComponentChildren; tools?: ComponentChildren; remove?: () => Promise<unknown>;
}) {
  const of = workspaceOf(id);
  const home = talk ? to(["apps"]) : "#/";
  const { parts } = place.value;
  const named = PANES.find((pane) => pane === parts[2]);
  const [isDeploying, setIsDeploying] = useState(false);

  useEffect(() => {
    of.ask = talk ? (question) => void talk.say(question) : undefined;
    void (talk ? of.open() : of.load());
  }, [of, talk]);
  // It may have been changed elsewhere: in another tab, or by a program.
  useEffect(() => {
    const isIdle = () => document.visibilityState === "visible" && of.isLoaded.peek() && !of.live.peek() && of.project.peek() !== undefined;
    // Back in this tab, what was said meanwhile is there too.
    const back = () => isIdle() && void (talk ? of.loadProject().catch(() => {}) : of.load());
    if (isIdle()) void of.loadProject().catch(() => {});
    document.addEventListener("visibilitychange", back);
    return () => document.removeEventListener("visibilitychange", back);
  }, [of, talk, parts[2]]);
  const name = of.project.value?.name;
  useEffect(() => {
    document.title = name ? `${name} · Hatch` : "Hatch";
  }, [name]);

  const error = of.error.value;
  if (error !== undefined && !of.isLoaded.value) {
    return (
      <div class="page">
        <h1>{error instanceof ApiError && error.status === 404 ? t.noSuchProject : t.cannotLoad}</h1>
        <Failure error={error} retry={() => void (talk ? of.open() : of.load())}><a class="button plain" href={home}>{talk ? texts.apps.all : t.toProjects}</a></Failure>
      </div>
    );
  }
  // On a wide screen the conversation is always there, and a pane beside it.
  const pane: Pane = named ?? "preview";
  return (
    <div class={`workspace ${(named ?? "chat") === "chat" ? "at-chat" : "at-pane"}`}>
      <header class="workspace-head">
        <a class="button quiet bare" href={home} aria-label={talk ? texts.apps.all : t.toProjects} title={talk ? texts.apps.all : t.toProjects}><Icon name="back" /></a>
        <ProjectName of={of} tools={tools} onDelete={async () => { await (remove ?? (() => of.delete(false)))(); go(home); say(t.deleted); }} />
        <div class="grow" />
        <Tabs label={t.panes} current={named ?? "chat"} tabs={PANES.map((name) => ({ id: name, title: t.paneNames[name], icon: ICONS[name], href: view(id, [name]) }))} />
        <Button look="primary" icon="rocket" disabled={of.project.value?.code == null} onClick={() => setIsDeploying(true)}>{texts.deploy.deploy}</Button>
      </header>
      <div class="workspace-body">
        {conversation ?? <Chat of={of} />}
        <section class="pane" aria-label={t.paneNames[pane === "chat" ? "preview" : pane]}>
          {(pane === "preview" || pane === "chat") && <PreviewPane of={of} />}
          {pane === "code" && <CodePane of={of} />}
          {pane === "versions" && of.isLoaded.value && <VersionsPane of={of} opened={parts[3]} against={parts[4]} />}
          {pane === "deployments" && of.isLoaded.value && <DeploymentsPane of={of} opened={parts[3]} />}
        </section>
      </div>
      {isDeploying && <ChooseTarget of={of} onClose={() => setIsDeploying(false)} onBegun={(begun) => go(view(id, ["deployments", begun]))} />}
    </div>
  );
}

function ProjectName({ of, tools, onDelete }: { of: Workspace; tools: ComponentChildren; onDelete: () => Promise<void> }) {
  const project = of.project.value;
  const [isOpen, setIsOpen] = useState(false);
  const [isBeforeDelete, setIsBeforeDelete] = useState(false);
  if (!project) return <h1 class="project-name" dir="auto">{t.newProject}</h1>;
  return (
    <>
      <h1 class="project-name"><button type="button" class="name-button" onClick={() => setIsOpen(true)} title={t.settings}><bdi>{project.name}</bdi> <Icon name="chevron" size={14} /></button></h1>
      {isOpen && <Settings of={of} name={project.name} tools={tools} onClose={() => setIsOpen(false)} onDelete={() => { setIsOpen(false); setIsBeforeDelete(true); }} />}
      {isBeforeDelete && (
        <Confirm title={t.deleteProject} words={t.deleteProjectWords(project.name)} action={t.deleteProject} onClose={() => setIsBeforeDelete(false)} run={onDelete} />
      )}
    </>
  );
}

function Settings({ of, name, tools, onClose, onDelete }: { of: Workspace; name: string; tools: ComponentChildren; onClose: () => void; onDelete: () => void }) {
  const [wanted, setWanted] = useState(name);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  async function save() {
    setBusy(true);
    try {
      if (wanted.trim() !== name) await of.rename(wanted.trim());
      onClose();
    } catch (error) {
      setError(wordsOf(error));
      setBusy(false);
    }
  }
  return (
    <Dialog title={t.settings} onClose={onClose}>
      <form onSubmit={(event) => { event.preventDefault(); void save(); }}>
        <Field label={t.name} value={wanted} maxLength={100} required onInput={(event) => setWanted(event.currentTarget.value)} />
        {error && <p class="hint bad" role="alert">{error}</p>}
        {tools}
        <div class="row spread">
          <Button look="danger" icon="trash" onClick={onDelete}>{t.deleteProject}</Button>
          <span class="row"><Button onClick={onClose}>{texts.cancel}</Button><Button type="submit" look="primary" busy={busy}>{texts.save}</Button></span>
        </div>
      </form>
    </Dialog>
  );
}
