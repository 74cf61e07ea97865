// The apps that are live, to look at and to remix.

import { get, json } from "../api/client.ts";
import type { App, Project } from "../api/types.ts";
import { count } from "../format.ts";
import { go, place, replace, signInFor, to } from "../routes.ts";
import { session } from "../session.ts";
import { texts } from "../texts.ts";
import { Icon } from "../ui/icon.tsx";
import { Load, ListEnd, useList, useLoad } from "../ui/load.tsx";
import { Action, Copy, Empty, Time } from "../ui/parts.tsx";
import { SearchBox } from "../ui/search.tsx";
import { Tile } from "../ui/tile.tsx";

const t = texts.discover;
const SORTS = ["recent", "popular"] as const;

export default function Discover({ parts }: { parts: string[] }) {
  return parts[1] ? <One id={parts[1]} /> : <All />;
}

async function remix(id: string): Promise<void> {
  if (session.value.state !== "user") return signInFor(to(["discover", id]));
  const project = await json<Project>("POST", `/api/discovery/${encodeURIComponent(id)}/remix`, { headers: { "idempotency-key": crypto.randomUUID() } });
  go(to(["build", project.id]));
}

function All() {
  const { query } = place.value;
  const words = query.get("q") ?? "";
  const sort = SORTS.find((name) => name === query.get("sort")) ?? "recent";
  const apps = useList<App>(`/api/discovery?${new URLSearchParams({ limit: "24", sort, ...(words ? { q: words } : {}) })}`);
  const show = (q: string, by: string) => replace(to(["discover"], { q, sort: by === "recent" ? "" : by }));
  return (
    <div class="page">
      <h1>{t.heading}</h1>
      <p class="lead">{t.lead}</p>
      <SearchBox label={t.search} words={words} onSearch={(q) => show(q, sort)} sort={sort} sorts={SORTS.map((name) => [name, t.sorts[name]] as const)} onSort={(by) => show(words, by)} />
      <ul class="grid">
        {apps.items.map(({ id, name, description, deploymentUrl, visits, createdAt }) => (
          <li key={id} class="card link-card">
            <Tile of={id} name={name} />
            <div class="card-body">
              <a class="name stretched" href={to(["discover", id])} dir="auto">{name}</a>
              <p class="soft clamp" dir="auto">{description ?? ""}</p>
              <p class="soft small row"><span>{t.visits(count(visits), visits)}</span><Time of={createdAt} /></p>
              <p class="row raised">
                <a class="button plain" href={deploymentUrl} target="_blank" rel="noopener noreferrer"><Icon name="open" /> <span>{t.open}<span class="hidden"> <bdi>{name}</bdi></span></span></a>
                <Action icon="remix" run={() => remix(id)}>{t.remix}<span class="hidden"> <bdi>{name}</bdi></span></Action>
              </p>
            </div>
          </li>
        ))}
      </ul>
      <ListEnd of={apps} empty={<Empty icon="discover" title={words ? t.nothing : t.none}><p class="soft">{words ? t.otherWords : t.noneHint}</p></Empty>} />
    </div>
  );
}

function One({ id }: { id: string }) {
  const app = useLoad((signal) => get<App>(`/api/discovery/${encodeURIComponent(id)}`, signal), id);
  return (
    <div class="page">
      <p><a class="back" href="#/discover"><Icon name="back" size={16} /> {t.all}</a></p>
      <Load of={app}>
        {({ name, description, deploymentUrl, visits, createdAt }) => (
          <>
            <h1 dir="auto">{name}</h1>
            {description && <p class="lead" dir="auto">{description}</p>}
            <p class="soft row"><span>{t.visits(count(visits), visits)}</span><Time of={createdAt} /></p>
            <p class="row wrap">
              <a class="button primary" href={deploymentUrl} target="_blank" rel="noopener noreferrer"><Icon name="open" /> <span>{t.open}</span></a>
              <Action icon="remix" run={() => remix(id)}>{t.remix}</Action>
              <Copy text={deploymentUrl} label={texts.deploy.copyAddress} />
            </p>
          </>
        )}
      </Load>
    </div>
  );
}
