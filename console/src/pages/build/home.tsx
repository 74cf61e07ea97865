// The first page: what do you want to build?

import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import type { Picture, Project } from "../../api/types.ts";
import { go, to } from "../../routes.ts";
import { session } from "../../session.ts";
import { texts } from "../../texts.ts";
import { ListEnd, useList } from "../../ui/load.tsx";
import { Empty, Field, Tag, Time } from "../../ui/parts.tsx";
import { Tile } from "../../ui/tile.tsx";
import { chosenModel, Composer } from "./composer.tsx";
import { begin } from "./workspace.ts";

const t = texts.build;
const PRELOAD_AFTER_MS = 200;
const draft = signal("");
const pictures = signal<Picture[]>([]);

export default function Home() {
  const isUser = session.value.state === "user";
  // Where one goes from here is there when one goes.
  useEffect(() => {
    const wait = setTimeout(() => void import("./page.tsx").catch(() => {}), PRELOAD_AFTER_MS);
    return () => clearTimeout(wait);
  }, []);
  function send(question: string, images: Picture[]) {
    if (isUser) go(to(["build", begin(question, chosenModel(), images)]));
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
        <Composer draft={draft} pictures={pictures} placeholder={t.prompt} isBusy={false} isLarge onSend={send} />
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

function Projects() {
  const projects = useList<Project>("/api/projects?limit=24");
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
              <a class="name stretched" href={to(["build", id])} dir="auto">{name}</a>
              {description && <p class="soft clamp" dir="auto">{description}</p>}
              <p class="soft small row">{status === "deployed" && <Tag tone="good">{t.live}</Tag>}<Time of={updatedAt} /></p>
            </div>
          </li>
        ))}
      </ul>
      {wanted && shown.length === 0 && projects.items.length > 0 && <p class="soft" role="status">{t.noneMatches}</p>}
      <ListEnd of={projects} empty={<Empty icon="build" title={t.noProjects}><p class="soft">{t.noProjectsHint}</p></Empty>} />
    </section>
  );
}
