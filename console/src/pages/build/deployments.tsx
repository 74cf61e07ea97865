// Where a project is live, and how it gets there.

import { useEffect, useState } from "preact/hooks";
import { ApiError, ask, get, json } from "../../api/client.ts";
import { follow } from "../../api/events.ts";
import type { Deployment, LogLine, Target } from "../../api/types.ts";
import { texts } from "../../texts.ts";
import { Icon } from "../../ui/icon.tsx";
import { Action, Button, Confirm, Copy, Dialog, Empty, Failure, Spinner, Tag, Time } from "../../ui/parts.tsx";
import { ListEnd, useList } from "../../ui/load.tsx";
import { chatModel } from "./model.tsx";
import type { Workspace } from "./workspace.ts";

const t = texts.deploy;
export const TARGETS: readonly Target[] = ["edge", "cloudflare", "vercel", "koyeb"];
export async function deploy(projectId: string, target: Target): Promise<string> {
  const { deploymentId } = await json<{ deploymentId: string }>("POST", "/api/deploy", {
    body: { projectId, target },
    headers: { "idempotency-key": crypto.randomUUID() },
  });
  return deploymentId;
}

export function DeploymentsPane({ of, opened }: { of: Workspace; opened: string | undefined }) {
  const deployments = useList<Deployment>(`/api/projects/${of.id}/deployments?limit=10`);
  const [isChoosing, setIsChoosing] = useState(false);
  const [begun, setBegun] = useState(opened);
  useEffect(() => {
    if (opened === undefined || opened === begun) return;
    setBegun(opened);
    deployments.reload();
  }, [opened]);
  const onBegun = (id: string) => {
    setBegun(id);
    deployments.reload();
  };
  const isServing = (at: number, { target, status, takenDownAt }: Deployment) =>
    status === "live" && takenDownAt === null && !deployments.items.slice(0, at).some((younger) => younger.target === target && younger.status === "live");
  return (
    <div class="pane-scroll">
      <div class="row spread">
        <p class="soft">{t.about}</p>
        <Button look="primary" icon="rocket" disabled={of.project.value?.code == null} onClick={() => setIsChoosing(true)}>{t.deploy}</Button>
      </div>
      <ul class="deployments" aria-label={t.list}>
        {deployments.items.map((deployment, at) => (
          <li key={deployment.id} class="card">
            <Opened deployment={deployment} of={of} isOpen={deployment.id === (begun ?? deployments.items[0]?.id)} isServing={isServing(at, deployment)} onAgain={onBegun}
              set={(value) => deployments.setItems((items) => items.map((each) => (each.id === value.id ? value : each)))} />
          </li>
        ))}
      </ul>
      <ListEnd of={deployments} empty={<Empty icon="rocket" title={t.none}><p class="soft">{t.noneHint}</p></Empty>} />
      {isChoosing && <ChooseTarget of={of} onClose={() => setIsChoosing(false)} onBegun={onBegun} />}
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

export function ChooseTarget({ of, first = "edge", onClose, onBegun }: {
  of: { id: string };
  /** What is proposed. */
  first?: Target;
  onClose: () => void;
  onBegun: (id: string) => void;
}) {
  const [target, setTarget] = useState(first);
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

function Opened({ deployment, of, isOpen, isServing, set, onAgain }: {
  deployment: Deployment; of: Workspace; isOpen: boolean; isServing: boolean; set: (value: Deployment) => void; onAgain: (id: string) => void;
}) {
  const { id, status, url, target, takenDownAt, createdAt } = deployment;
  const [lines, setLines] = useState<LogLine[]>([]);
  const [isConnected, setIsConnected] = useState(true);
  const [streamError, setStreamError] = useState<unknown>();
  const [isAsking, setIsAsking] = useState(false);
  const [isLogOpen, setIsLogOpen] = useState(isOpen);
  const [error, setError] = useState<string | null>(null);
  const [isRead, setIsRead] = useState(false);
  const isUnderWay = !hasEnded(status);
  useEffect(() => {
    if (isOpen) setIsLogOpen(true);
  }, [isOpen]);

  // Only what is looked at is followed: a browser has few connections.
  const isFollowed = isUnderWay || isLogOpen || status === "failed";
  useEffect(() => {
    if (!isFollowed) return undefined;
    const leaving = new AbortController();
    follow(`/api/deploy/${id}/stream`, leaving.signal, ({ event, data }) => {
      const told = JSON.parse(data) as LogLine & Pick<Deployment, "status" | "url"> & { error: string | null };
      if (event === "log") setLines((before) => [...before, told]);
      else {
        setIsRead(true);
        setError(told.error);
        if (isUnderWay) set({ ...deployment, status: told.status, url: told.url });
      }
    }, setIsConnected).then(() => {
      if (isUnderWay && !leaving.signal.aborted) void of.loadProject();
    }, (error: unknown) => leaving.signal.aborted || setStreamError(error));
    setLines([]);
    return () => leaving.abort();
  }, [id, isFollowed]);

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
          <Tag tone={takenDownAt || (status === "live" && !isServing) ? "plain" : TONES[status]}>{takenDownAt ? t.takenDown : status === "live" && !isServing ? t.replaced : t.statuses[status]}</Tag>
        </p>
        <span class="soft small"><Time of={createdAt} /></span>
      </div>
      <p class="hidden" role="status">{t.statuses[status]}</p>
      {url && isServing && <LiveAt url={url} />}
      {!isConnected && <p class="note warn"><Spinner /> {t.reconnecting}</p>}
      {streamError !== undefined && <Failure error={streamError} />}
      {status === "failed" && (
        <Failure error={new Error(error ?? t.failed)}>
          <Button look="primary" icon="send" busy={of.live.value !== undefined} onClick={() => of.send(texts.build.mendCompile([error ?? t.failed, ...lines.map(({ message }) => message)].join("\n")), chatModel.value())}>{texts.build.sendError}</Button>
          <Action icon="again" run={async () => onAgain(await deploy(of.id, target))}>{t.again}</Action>
        </Failure>
      )}
      <details open={isLogOpen} onToggle={({ currentTarget }) => setIsLogOpen(currentTarget.open)}>
        <summary>{t.log}</summary>
        <ol class="log" aria-label={t.log} tabIndex={0}>
          {lines.map(({ timestamp, message, level }, at) => <li key={at} class={level ?? ""}><time dateTime={timestamp}>{timestamp.slice(11, 19)}</time> <span dir="auto">{message}</span></li>)}
          {lines.length === 0 && <li class="soft">{isFollowed && !isRead ? <Spinner /> : t.noLog}</li>}
        </ol>
      </details>
      {hasEnded(status) && (
        <div class="row end">
          <Action icon="history" run={async () => {
            const begun = await json<{ deploymentId: string }>("POST", `/api/deploy/${id}/rollback`, { headers: { "idempotency-key": crypto.randomUUID() } });
            onAgain(begun.deploymentId);
          }}>{t.deployOnceMore}</Action>
          {isServing && <Button look="danger" icon="trash" onClick={() => setIsAsking(true)}>{t.takeDown}</Button>}
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
