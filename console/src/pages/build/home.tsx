// The first page: what do you want to build?

import { useEffect, useState } from "preact/hooks";
import { get } from "../../api/client.ts";
import type { AgentAppPage, Picture, Project } from "../../api/types.ts";
import { go, to } from "../../routes.ts";
import { session } from "../../session.ts";
import { texts } from "../../texts.ts";
import { ListEnd, useList } from "../../ui/load.tsx";
import { Empty, Field, Tag, Time } from "../../ui/parts.tsx";
import { Tile } from "../../ui/tile.tsx";
import { Composer } from "./composer.tsx";
import { chatModel } from "./model.tsx";
import { draft, pictures } from "./first.ts";
import { begin } from "./workspace.ts";

const t = texts.build;
const PRELOAD_AFTER_MS = 200;

export default function Home() {
  const isUser = session.value.state === "user";
  // Where one goes from here is there when one goes.
  useEffect(() => {
    const wait = setTimeout(() => void import("./page.tsx").catch(() => {}), PRELOAD_AFTER_MS);
    return () => clearTimeout(wait);
  }, []);
  function send(question: string, images: Picture[]) {
    if (isUser) go(to(["build", begin(question, chatModel.value(), images)]));
    else {
      draft.value = question;
      pictures.value = images;
      go("#/sign-in");
    }
  }
  return (
    <div class="page home">
      <section class="hero" aria-labelledby="hero">
        <h1 id="hero">{t.heading}</h1>
        <p class="lead">{t.lead}</p>
        <Composer draft={draft} pictures={pictures} model={chatModel} placeholder={t.prompt} isBusy={false} isLarge onSend={send} />
        <ul class="examples" aria-label={t.examplesLabel}>
          {t.examples.map(({ title, prompt }) => (
            <li key={title}><button type="button" class="example" onClick={() => { draft.value = prompt; document.getElementById("prompt")?.focus(); }}>{title}</button></li>
          ))}
        </ul>
      </section>
      {isUser && <Projects />}
    </div>
  );
}

/** Which of these projects the agent works on: its apps have conversations of another kind. */
function useAgentApps(projects: Project[]): Set<string> {
  const [apps, setApps] = useState<{ ids: Set<string>; pages: number; isAll: boolean; oldest: string }>({ ids: new Set(), pages: 0, isAll: false, oldest: "\uffff" });
  const oldest = projects.at(-1)?.createdAt ?? "\uffff";
  useEffect(() => {
    if (apps.isAll || oldest > apps.oldest || projects.length === 0) return undefined;
    const leaving = new AbortController();
    get<AgentAppPage>(`/apps?limit=100&page=${apps.pages + 1}`, leaving.signal).then(
      ({ data, pagination }) => setApps({
        ids: new Set([...apps.ids, ...data.map(({ id }) => id)]), pages: apps.pages + 1,
        isAll: apps.pages + 1 >= pagination.totalPages, oldest: data.at(-1)?.createdAt ?? apps.oldest,
      }),
      // Then they are shown as projects, which they are as well.
      () => {},
    );
    return () => leaving.abort();
  }, [oldest, apps]);
  return apps.ids;
}

function Projects() {
  const projects = useList<Project>("/api/projects?limit=24");
  const agents = useAgentApps(projects.items);
  const [words, setWords] = useState("");
  const wanted = words.trim().toLowerCase();
  const shown = projects.items.filter(({ name, description }) => `${name} ${description ?? ""}`.toLowerCase().includes(wanted));
  return (
    <section aria-labelledby="projects">
      <div class="row spread section-head">
        <h2 id="projects">{t.yourProjects}</h2>
        {projects.items.length > 6 && <Field label={t.filter} class="search" type="search" placeholder={t.filter} value={words} onInput={(event) => setWords(event.currentTarget.value)} />}
      </div>
      <ul class="grid">
        {shown.map(({ id, name, description, status, updatedAt }) => (
          <li key={id} class="card link-card">
            <Tile of={id} name={name} />
            <div class="card-body">
              <a class="name stretched" href={to([agents.has(id) ? "apps" : "build", id])} dir="auto">{name}</a>
              {description && <p class="soft clamp" dir="auto">{description}</p>}
              <p class="soft small row">{agents.has(id) && <Tag>{t.byAgent}</Tag>}{status === "deployed" && <Tag tone="good">{t.live}</Tag>}<Time of={updatedAt} /></p>
            </div>
          </li>
        ))}
      </ul>
      {wanted && shown.length === 0 && projects.items.length > 0 && <p class="soft" role="status">{t.noneMatches}</p>}
      <ListEnd of={projects} empty={<Empty icon="build" title={t.noProjects}><p class="soft">{t.noProjectsHint}</p></Empty>} />
    </section>
  );
}
