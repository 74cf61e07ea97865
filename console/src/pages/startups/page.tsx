// From a prompt to a startup: the jobs, and each of them while it works and
// when it is done.

import { useEffect, useState } from "preact/hooks";
import { ask, get, json } from "../../api/client.ts";
import { follow } from "../../api/events.ts";
import type { Generation, GenerationStatus, JobStatus, LogLine, Startup } from "../../api/types.ts";
import { brief, bytes, dollars } from "../../format.ts";
import { go, to } from "../../routes.ts";
import { texts } from "../../texts.ts";
import { Icon } from "../../ui/icon.tsx";
import { Load, ListEnd, useList, useLoad } from "../../ui/load.tsx";
import { Action, Button, Empty, Failure, Spinner, Tag, Time } from "../../ui/parts.tsx";
import { saveFile } from "../../ui/save.ts";
import { Tile } from "../../ui/tile.tsx";
import { ChooseTarget } from "../build/deployments.tsx";

const t = texts.startups;
const TONES = { processing: "busy", completed: "good", failed: "bad", cancelled: "plain" } as const;

export default function StartupsPage({ parts }: { parts: string[] }) {
  return parts[1] ? <Job key={parts[1]} id={parts[1]} /> : <Begin />;
}

function Begin() {
  const jobs = useList<Generation>("/api/generate?limit=20");
  const [prompt, setPrompt] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  async function begin() {
    setBusy(true);
    setError(undefined);
    try {
      const { job_id } = await json<{ job_id: string }>("POST", "/api/generate", { body: { prompt: prompt.trim() }, headers: { "idempotency-key": crypto.randomUUID() } });
      go(to(["startups", job_id]));
    } catch (error) {
      setError(error);
    } finally {
      setBusy(false);
    }
  }
  return (
    <div class="page">
      <h1>{t.heading}</h1>
      <p class="lead">{t.lead}</p>
      <form class="composer large" onSubmit={(event) => { event.preventDefault(); if (prompt.trim()) void begin(); }}>
        <label class="hidden" for="idea">{t.prompt}</label>
        <textarea id="idea" rows={2} dir="auto" maxLength={4000} placeholder={t.prompt} value={prompt} onInput={(event) => setPrompt(event.currentTarget.value)} />
        <div class="composer-foot"><span class="hint grow">{t.hint}</span><Button type="submit" look="primary" icon="startup" busy={busy} disabled={prompt.trim() === ""}>{t.begin}</Button></div>
      </form>
      {error !== undefined && <Failure error={error} />}
      <h2 class="section-head">{t.yours}</h2>
      <ul class="grid">
        {jobs.items.map(({ job_id, project_name, prompt, status, progress, created_at }) => (
          <li key={job_id} class="card link-card">
            <Tile of={job_id} name={project_name || prompt} />
            <div class="card-body">
              <a class="name stretched" href={to(["startups", job_id])} dir="auto">{project_name || prompt}</a>
              <p class="soft clamp" dir="auto">{prompt}</p>
              <p class="soft small row"><Tag tone={TONES[status]}>{status === "processing" ? `${progress} %` : t.statuses[status]}</Tag><Time of={created_at} /></p>
            </div>
          </li>
        ))}
      </ul>
      <ListEnd of={jobs} empty={<Empty icon="startup" title={t.none}><p class="soft">{t.noneHint}</p></Empty>} />
    </div>
  );
}

function Job({ id }: { id: string }) {
  const path = `/api/status/${encodeURIComponent(id)}`;
  const first = useLoad((signal) => get<GenerationStatus>(`${path}?states=all`, signal), id);
  return <div class="page"><p><a class="back" href="#/startups"><Icon name="back" size={16} /> {t.all}</a></p><Load of={first}>{(job) => <Following key={job.status === "processing" ? "on" : "ended"} id={id} first={job} reload={first.reload} />}</Load></div>;
}

function Following({ id, first, reload }: { id: string; first: GenerationStatus; reload: () => void }) {
  const [job, setJob] = useState(first);
  const [lines, setLines] = useState<LogLine[]>([]);
  const [isConnected, setIsConnected] = useState(true);
  const [error, setError] = useState<unknown>();

  useEffect(() => {
    const leaving = new AbortController();
    follow(`/api/status/${encodeURIComponent(id)}/events?states=all`, leaving.signal, ({ event, data }) => {
      const told: unknown = JSON.parse(data);
      if (event === "log") setLines((before) => [...before, told as LogLine]);
      else setJob((before) => ({ ...before, ...(told as GenerationStatus) }));
    }, setIsConnected).catch((error: unknown) => leaving.signal.aborted || setError(error));
    return () => leaving.abort();
  }, [id]);

  const isUnderWay = job.status === "processing";
  return (
    <>
      <div class="row spread">
        <h1 dir="auto">{job.project_name || t.unnamed}</h1>
        <Tag tone={TONES[job.status]}>{t.statuses[job.status]}</Tag>
      </div>
      {job.status !== "completed" && <Progress job={job} />}
      {!isConnected && isUnderWay && <p class="note warn"><Spinner /> {texts.deploy.reconnecting}</p>}
      {error !== undefined && <Failure error={error} retry={reload} />}
      {(job.status === "failed" || job.status === "cancelled") && (
        <Failure error={new Error(job.status === "cancelled" ? t.cancelled : (job.error ?? t.failed))}>
          <Action look="primary" icon="again" run={async () => { await ask("POST", `/api/generate/${id}/retry`); reload(); }}>{t.goOn}</Action>
        </Failure>
      )}
      {isUnderWay && <p><Action icon="stop" run={async () => { await ask("POST", `/api/generate/${id}/cancel`); reload(); }}>{t.cancel}</Action></p>}
      {job.status === "completed" && job.project_id && <Launch id={job.project_id} />}
      <details class="card pad" open={isUnderWay}>
        <summary>{t.log}</summary>
        <ol class="log" tabIndex={0} aria-label={t.log}>
          {lines.map(({ timestamp, message, type }, at) => <li key={at} class={type ?? ""}><time>{timestamp}</time> <span dir="auto">{message}</span></li>)}
        </ol>
      </details>
      {job.usage.output_tokens > 0 && <p class="soft small"><bdi>{job.usage.model ?? ""}</bdi> · {texts.build.tokens(brief(job.usage.input_tokens + job.usage.output_tokens))} · {dollars(job.usage.cost_micro_usd)}</p>}
    </>
  );
}

const MARKS = { pending: undefined, in_progress: "build", completed: "check", failed: "close" } as const;

function Progress({ job }: { job: GenerationStatus }) {
  const now = job.steps.find(({ status }) => status === "in_progress")?.title ?? t.statuses[job.status as JobStatus];
  return (
    <div class="card pad progress">
      <div class="row spread"><label for="progress">{now}</label><b>{job.progress} %</b></div>
      <progress id="progress" max={100} value={job.progress} />
      <ol class="steps">
        {job.steps.map(({ id, title, status }) => {
          const mark = MARKS[status];
          return <li key={id} class={status}><span class="step-mark" aria-hidden="true">{status === "in_progress" ? <Spinner /> : mark ? <Icon name={mark} size={14} /> : id}</span>{title}<span class="hidden"> ({t.stepStatuses[status]})</span></li>;
        })}
      </ol>
      <p class="hidden" role="status">{now}</p>
    </div>
  );
}

/** What a startup is launched with. */
function Launch({ id }: { id: string }) {
  const startup = useLoad((signal) => get<Startup>(`/api/project/${id}`, signal), id);
  return <Load of={startup}>{(value) => <LaunchPage startup={value} />}</Load>;
}

/** Only links to the web become links. */
function Web({ url, children }: { url: string | null; children: string }) {
  if (!url || !/^https?:\/\//i.test(url)) return <bdi>{children}</bdi>;
  return <a href={url} target="_blank" rel="noopener noreferrer nofollow"><bdi>{children}</bdi> <Icon name="open" size={13} /></a>;
}

function LaunchPage({ startup }: { startup: Startup }) {
  const [isDeploying, setIsDeploying] = useState(false);
  const { project_id: id, project_name: name, tagline, stack, competitors, launch_channels: channels, marketing_assets: assets, files } = startup;
  const deck = assets.pitch_deck.deck_url ? new URL(assets.pitch_deck.deck_url).pathname : undefined;
  return (
    <>
      <p class="lead" dir="auto">{tagline}</p>
      <div class="row wrap">
        <a class="button primary" href={to(["build", id])}><Icon name="chat" /> <span>{t.goOnInChat}</span></a>
        <Action icon="download" run={() => download(id, name)}>{t.zip}</Action>
        <Button icon="rocket" onClick={() => setIsDeploying(true)}>{texts.deploy.deploy}</Button>
        {isDeploying && <ChooseTarget of={{ id }} first="vercel" onClose={() => setIsDeploying(false)} onBegun={(begun) => go(to(["build", id, "deployments", begun]))} />}
        {assets.video.video_url && <Web url={assets.video.video_url}>{t.video}</Web>}
      </div>
      <ul class="row wrap plain">{stack.map((part) => <li key={part}><Tag>{part}</Tag></li>)}</ul>
      {deck && (
        <section aria-labelledby="deck">
          <div class="row spread section-head"><h2 id="deck">{t.deck}</h2><a href={deck} target="_blank" rel="noopener noreferrer">{t.openDeck} <Icon name="open" size={14} /></a></div>
          <iframe class="deck" src={deck} title={t.deckOf(name)} sandbox="allow-scripts allow-modals" loading="lazy" />
        </section>
      )}
      <section aria-labelledby="competitors">
        <h2 id="competitors" class="section-head">{t.competitors}</h2>
        {startup.competitors_source && <p class="soft">{t.sources[startup.competitors_source as keyof typeof t.sources] ?? startup.competitors_source}</p>}
        <ul class="grid">
          {competitors.map((competitor) => (
            <li key={competitor.name} class="card pad">
              <h3><Web url={competitor.url}>{competitor.name}</Web></h3>
              <p dir="auto">{competitor.description}</p>
              {competitor.features.length > 0 && <ul class="row wrap plain">{competitor.features.map((feature) => <li key={feature}><Tag><bdi>{feature}</bdi></Tag></li>)}</ul>}
              {competitor.technology.length > 0 && <p class="soft small" dir="auto">{competitor.technology.join(" · ")}</p>}
            </li>
          ))}
        </ul>
        {competitors.length === 0 && <p class="soft">{t.noCompetitors}</p>}
      </section>
      <section aria-labelledby="channels">
        <h2 id="channels" class="section-head">{t.channels}</h2>
        <ol class="rows">
          {channels.map((channel) => (
            <li key={channel.name} class="card pad row spread"><span class="grow"><b dir="auto">{channel.name}</b><br /><span class="soft" dir="auto">{channel.description}</span></span><Tag tone={channel.priority === "high" ? "good" : "plain"}>{t.priorities[channel.priority]}</Tag></li>
          ))}
        </ol>
      </section>
      <section aria-labelledby="files">
        <details class="card pad"><summary id="files">{texts.build.filesCount(files.length)}</summary><ul class="file-list">{files.map(({ path, bytes: size }) => <li key={path}><code><bdi>{path}</bdi></code><span class="soft small">{bytes(size)}</span></li>)}</ul></details>
      </section>
    </>
  );
}

/** The ZIP, fetched with the credential, which a link could not send. */
async function download(id: string, name: string): Promise<void> {
  const response = await ask("GET", `/api/download/${id}`);
  saveFile(await response.blob(), response.headers.get("content-disposition")?.match(/filename="([^"]+)"/)?.[1] ?? `${name}.zip`);
}
