// Where a project is live, and how it gets there.

import { useEffect, useState } from "preact/hooks";
import { ApiError, ask, get, json } from "../../api/client.ts";
import { follow } from "../../api/events.ts";
import type { Deployment, LogLine, Target } from "../../api/types.ts";
import { texts } from "../../texts.ts";
import { Icon } from "../../ui/icon.tsx";
import { Action, Button, Confirm, Copy, Dialog, Empty, Failure, Spinner, Tag, Time } from "../../ui/parts.tsx";
import { Load, useLoad } from "../../ui/load.tsx";
import { chosenModel } from "./composer.tsx";
import type { Workspace } from "./workspace.ts";

const t = texts.deploy;
export const TARGETS: readonly Target[] = ["edge", "cloudflare", "vercel", "koyeb"];
const MOST = 20;

/** The deployments that were begun here: the API shows one by its id, and has no list of them. */
function known(projectId: string): string[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(`hatch.deployments.${projectId}`) ?? "[]");
    return Array.isArray(list) ? list.filter((id): id is string => typeof id === "string") : [];
  } catch {
    return [];
  }
}

export function remember(projectId: string, id: string): void {
  try {
    const ids = [id, ...known(projectId).filter((each) => each !== id)].slice(0, MOST);
    localStorage.setItem(`hatch.deployments.${projectId}`, JSON.stringify(ids));
  } catch {
    // Then it is shown for as long as the page is open.
  }
}

export async function deploy(projectId: string, target: Target): Promise<string> {
  const { deploymentId } = await json<{ deploymentId: string }>("POST", "/api/deploy", {
    body: { projectId, target },
    headers: { "idempotency-key": crypto.randomUUID() },
  });
  remember(projectId, deploymentId);
  return deploymentId;
}

export function DeploymentsPane({ of, opened }: { of: Workspace; opened: string | undefined }) {
  const ids = known(of.id);
  const [isChoosing, setIsChoosing] = useState(false);
  const [begun, setBegun] = useState(opened);
  const shown = [...new Set([...(begun ? [begun] : []), ...(opened ? [opened] : []), ...ids])];
  return (
    <div class="pane-scroll">
      <div class="row spread">
        <p class="soft">{t.about}</p>
        <Button look="primary" icon="rocket" disabled={of.project.value?.code == null} onClick={() => setIsChoosing(true)}>{t.deploy}</Button>
      </div>
      {of.project.value?.deploymentUrl && shown.length === 0 && <LiveAt url={of.project.value.deploymentUrl} />}
      <ul class="deployments">
        {shown.map((id, at) => <DeploymentCard key={id} id={id} of={of} isOpen={at === 0} onAgain={setBegun} />)}
      </ul>
      {shown.length === 0 && !of.project.value?.deploymentUrl && <Empty icon="rocket" title={t.none}><p class="soft">{t.noneHint}</p></Empty>}
      {isChoosing && <ChooseTarget of={of} onClose={() => setIsChoosing(false)} onBegun={setBegun} />}
    </div>
  );
}

export function LiveAt({ url }: { url: string }) {
  return (
    <p class="live-at">
      <span class="pulse" aria-hidden="true" />
      <span>{t.liveAt}</span>
      <a href={url} target="_blank" rel="noopener noreferrer"><bdi>{url.replace(/^https?:\/\//, "").replace(/\/$/, "")}</bdi> <Icon name="open" size={14} /></a>
      <Copy text={url} label={t.copyAddress} />
    </p>
  );
}

export function ChooseTarget({ of, onClose, onBegun }: { of: { id: string }; onClose: () => void; onBegun: (id: string) => void }) {
  const [target, setTarget] = useState<Target>("edge");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  async function begin() {
    setBusy(true);
    try {
      onBegun(await deploy(of.id, target));
      onClose();
    } catch (error) {
      setError(error);
      setBusy(false);
    }
  }
  return (
    <Dialog title={t.where} onClose={onClose}>
      <fieldset class="targets">
        <legend class="hidden">{t.where}</legend>
        {TARGETS.map((name) => (
          <label key={name} class="target">
            <input type="radio" name="target" value={name} checked={target === name} onChange={() => setTarget(name)} />
            <span><b>{t.targets[name]}</b><span class="soft small">{t.targetWords[name]}</span></span>
          </label>
        ))}
      </fieldset>
      {error !== undefined && <Failure error={error}>{error instanceof ApiError && error.status === 503 && <a class="button plain" href="#/account/clouds">{t.addCredentials}</a>}</Failure>}
      <div class="row end">
        <Button onClick={onClose}>{texts.cancel}</Button>
        <Button look="primary" icon="rocket" busy={busy} onClick={begin}>{t.deploy}</Button>
      </div>
    </Dialog>
  );
}

const TONES = { pending: "busy", building: "busy", deploying: "busy", live: "good", failed: "bad" } as const;
const hasEnded = (status: Deployment["status"]): boolean => status === "live" || status === "failed";

function DeploymentCard({ id, of, isOpen, onAgain }: { id: string; of: Workspace; isOpen: boolean; onAgain: (id: string) => void }) {
  const deployment = useLoad((signal) => get<Deployment>(`/api/deploy/${encodeURIComponent(id)}`, signal), id);
  // It went with its project, or is somebody else's.
  if (deployment.error instanceof ApiError && deployment.error.status === 404) return null;
  return (
    <li class="card">
      <Load of={deployment}>{(value) => <Opened key={id} deployment={value} of={of} isOpen={isOpen} reload={deployment.reload} set={deployment.set} onAgain={onAgain} />}</Load>
    </li>
  );
}

function Opened({ deployment, of, isOpen, reload, set, onAgain }: {
  deployment: Deployment; of: Workspace; isOpen: boolean; reload: () => void; set: (value: Deployment) => void; onAgain: (id: string) => void;
}) {
  const { id, status, url, target, error, takenDownAt, createdAt } = deployment;
  const [lines, setLines] = useState<LogLine[]>([]);
  const [isConnected, setIsConnected] = useState(true);
  const [streamError, setStreamError] = useState<unknown>();
  const [isAsking, setIsAsking] = useState(false);
  const isUnderWay = !hasEnded(status);

  useEffect(() => {
    const leaving = new AbortController();
    follow(`/api/deploy/${id}/stream`, leaving.signal, ({ event, data }) => {
      const told = JSON.parse(data) as LogLine & Pick<Deployment, "status" | "url" | "error">;
      if (event === "log") setLines((before) => [...before, told]);
      else if (isUnderWay) set({ ...deployment, status: told.status, url: told.url, error: told.error });
    }, setIsConnected).then(() => {
      if (!isUnderWay || leaving.signal.aborted) return;
      reload();
      void of.loadProject();
    }, (error: unknown) => leaving.signal.aborted || setStreamError(error));
    return () => leaving.abort();
  }, [id]);

  async function takeDown() {
    await ask("DELETE", `/api/deploy/${id}`);
    await until(async () => {
      const now = await get<Deployment>(`/api/deploy/${id}`);
      set(now);
      return now.takenDownAt !== null;
    });
    await of.loadProject();
  }

  return (
    <>
      <div class="row spread">
        <p class="name">
          {isUnderWay ? <Spinner /> : <Icon name="rocket" />} {t.targets[target]}
          <Tag tone={takenDownAt ? "plain" : TONES[status]}>{takenDownAt ? t.takenDown : t.statuses[status]}</Tag>
        </p>
        <span class="soft small"><Time of={createdAt} /></span>
      </div>
      <p class="hidden" role="status">{t.statuses[status]}</p>
      {url && !takenDownAt && <LiveAt url={url} />}
      {!isConnected && <p class="note warn"><Spinner /> {t.reconnecting}</p>}
      {streamError !== undefined && <Failure error={streamError} />}
      {status === "failed" && (
        <Failure error={new Error(error ?? t.failed)}>
          <Button look="primary" icon="send" busy={of.live.value !== undefined} onClick={() => void of.say(texts.build.mendCompile([error ?? t.failed, ...lines.map(({ message }) => message)].join("\n")), chosenModel())}>{texts.build.sendError}</Button>
          <Action icon="again" run={async () => onAgain(await deploy(of.id, target))}>{t.again}</Action>
        </Failure>
      )}
      <details open={isOpen}>
        <summary>{t.log}</summary>
        <ol class="log" aria-label={t.log} tabIndex={0}>
          {lines.map(({ timestamp, message, level }, at) => <li key={at} class={level ?? ""}><time dateTime={timestamp}>{timestamp.slice(11, 19)}</time> <span dir="auto">{message}</span></li>)}
          {lines.length === 0 && <li class="soft">{t.noLog}</li>}
        </ol>
      </details>
      {hasEnded(status) && (
        <div class="row end">
          <Action icon="history" run={async () => {
            const begun = await json<{ deploymentId: string }>("POST", `/api/deploy/${id}/rollback`, { headers: { "idempotency-key": crypto.randomUUID() } });
            remember(of.id, begun.deploymentId);
            onAgain(begun.deploymentId);
          }}>{t.deployOnceMore}</Action>
          {status === "live" && !takenDownAt && <Button look="danger" icon="trash" onClick={() => setIsAsking(true)}>{t.takeDown}</Button>}
        </div>
      )}
      {isAsking && <Confirm title={t.takeDown} words={t.takeDownWords} action={t.takeDown} run={takeDown} onClose={() => setIsAsking(false)} />}
    </>
  );
}

/** Asks until it is so, for at most a minute; a job does the work. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 40; attempt += 1) {
    if (await isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 1_500));
  }
  throw new Error(t.stillUnderWay);
}
