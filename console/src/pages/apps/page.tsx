// The agent's apps: one message begins one, and each goes on by talking.

import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { ask, get } from "../../api/client.ts";
import type { AgentApp, AgentAppPage } from "../../api/types.ts";
import { go, place, to } from "../../routes.ts";
import { texts } from "../../texts.ts";
import { Icon } from "../../ui/icon.tsx";
import { Load, useEvery, useLoad } from "../../ui/load.tsx";
import { Action, Button, Confirm, Empty, Failure, Spinner, Tag, Time } from "../../ui/parts.tsx";
import { saveFile } from "../../ui/save.ts";
import { Tile } from "../../ui/tile.tsx";
import BuildPage from "../build/page.tsx";
import { Composer } from "../build/composer.tsx";
import { agentModel } from "../build/model.tsx";
import { workspaceOf } from "../build/workspace.ts";
import { Conversation } from "./conversation.tsx";
import { begin, talkOf } from "./talk.ts";

const t = texts.apps;
const PAGE = 24;
const draft = signal("");
const TONES = { pending: "busy", deploying: "busy", deployed: "good", failed: "bad" } as const;

export default function Apps({ parts }: { parts: string[] }) {
  if (!parts[1]) return <AppList />;
  const talk = talkOf(parts[1]);
  return <BuildPage key={parts[1]} id={parts[1]} talk={talk} conversation={<Conversation of={talk} />}
    tools={<AppTools id={parts[1]} />} remove={() => ask("DELETE", `/apps/${talk.id}`)} />;
}

/** What an app has besides a project: its state where it is live, its files as a ZIP, its repository. */
function AppTools({ id }: { id: string }) {
  const app = useLoad((signal) => get<AgentApp>(`/apps/${id}`, signal), id);
  const deployment = app.value?.deploymentId;
  const status = useLoad(async (signal) => (deployment ? get<{ message: string; type: string }>(`/deployment-status/${deployment}`, signal) : undefined), deployment ?? "");
  const repository = app.value?.repositoryUrl;
  return (
    <div class="app-tools">
      {status.value && <p class="row"><Tag tone={status.value.type === "HEALTHY" ? "good" : "plain"}>{status.value.type.toLowerCase()}</Tag> <span class="soft" dir="auto">{status.value.message}</span></p>}
      <div class="row wrap">
        <Action icon="download" run={() => download(id, app.value?.appName ?? id)}>{t.zip}</Action>
        {repository && /^https:/.test(repository) && <a class="button plain" href={repository} target="_blank" rel="noopener noreferrer"><Icon name="open" /> <span>{t.openRepository}</span></a>}
        {repository && <Action icon="again" run={async () => { await ask("POST", `/apps/${id}/pull`); await workspaceOf(id).loadProject(); }} done={t.pulled}>{t.pull}</Action>}
      </div>
    </div>
  );
}

/** The ZIP of this server, or of a bucket's, which a page may not fetch, and a visitor may. */
async function download(id: string, name: string): Promise<void> {
  const { readUrl } = await get<{ readUrl: string }>(`/apps/${id}/read-url`);
  const { origin, pathname, search } = new URL(readUrl, location.origin);
  if (origin !== location.origin) return location.assign(readUrl);
  const response = await ask("GET", pathname + search);
  saveFile(await response.blob(), `${name}.zip`);
}

function AppList() {
  const page = Math.max(1, Number(place.value.query.get("page")) || 1);
  const apps = useLoad((signal) => get<AgentAppPage>(`/apps?limit=${PAGE}&page=${page}`, signal), String(page));
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const [deleted, setDeleted] = useState<AgentApp>();
  const isAnyAtWork = apps.value?.data.some(({ recompileInProgress }) => recompileInProgress) === true;

  // While an agent works, how that stands is asked again.
  useEvery(4_000, apps.reload, isAnyAtWork);

  async function send(question: string) {
    setBusy(true);
    setError(undefined);
    try {
      go(to(["apps", await begin(question)]));
    } catch (error) {
      draft.value = question;
      setError(error);
    } finally {
      setBusy(false);
    }
  }

  return (
    <div class="page">
      <h1>{t.heading}</h1>
      <p class="lead">{t.lead}</p>
      <Composer draft={draft} model={agentModel} placeholder={t.prompt} isBusy={busy} isLarge onSend={(question) => void send(question)} />
      {busy && <p class="note soft" role="status"><Spinner /> {t.beginning}</p>}
      {error !== undefined && <Failure error={error} />}
      <h2 class="section-head">{t.yours}</h2>
      <Load of={apps}>
        {({ data, pagination }) => (
          <>
            <ul class="grid">
              {data.map((app) => (
                <li key={app.id} class="card link-card">
                  <Tile of={app.id} name={app.appName} />
                  <div class="card-body">
                    <a class="name stretched" href={to(["apps", app.id])} dir="auto">{app.appName}</a>
                    <p class="soft small row wrap">
                      {app.recompileInProgress ? <Tag tone="busy">{t.atWorkTag}</Tag> : app.deployStatus && <Tag tone={TONES[app.deployStatus]}>{t.statuses[app.deployStatus]}</Tag>}
                      <Time of={app.updatedAt} />
                    </p>
                    <div class="row raised">
                      {app.appUrl && <a class="button quiet" href={app.appUrl} target="_blank" rel="noopener noreferrer"><Icon name="open" /> <span>{t.openApp}</span></a>}
                      <span class="grow" />
                      <Button look="quiet" icon="trash" aria-label={t.delete(app.appName)} title={t.delete(app.appName)} onClick={() => setDeleted(app)} />
                    </div>
                  </div>
                </li>
              ))}
            </ul>
            {data.length === 0 && <Empty icon="apps" title={t.none}><p class="soft">{t.noneHint}</p></Empty>}
            {pagination.totalPages > 1 && (
              <nav class="row end" aria-label={t.pages}>
                {page > 1 && <a class="button plain" href={to(["apps"], { page: String(page - 1) })}>{t.newer}</a>}
                <span class="soft small">{t.pageOf(page, pagination.totalPages)}</span>
                {page < pagination.totalPages && <a class="button plain" href={to(["apps"], { page: String(page + 1) })}>{t.older}</a>}
              </nav>
            )}
          </>
        )}
      </Load>
      {deleted && (
        <Confirm title={t.delete(deleted.appName)} words={t.deleteWords} action={t.delete(deleted.appName)} onClose={() => setDeleted(undefined)}
          run={async () => { await ask("DELETE", `/apps/${deleted.id}`); apps.reload(); }} />
      )}
    </div>
  );
}
