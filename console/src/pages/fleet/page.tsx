// The fleet: whose machines run, what runs on them, and what they are paid.

import { useState } from "preact/hooks";
import { ask, json } from "../../api/client.ts";
import type { FleetDeployment, Machine, Payment } from "../../api/types.ts";
import { moment, short, whole } from "../../format.ts";
import { to } from "../../routes.ts";
import { me } from "../../session.ts";
import { texts } from "../../texts.ts";
import { ListEnd, useEvery, useList } from "../../ui/load.tsx";
import { Action, Button, Confirm, Copy, Dialog, Empty, Failure, Field, Snippet, Tabs, Tag, Time } from "../../ui/parts.tsx";
import { BEAT_MS, HEALTH_TONES, MachinePage } from "./machine.tsx";

const t = texts.fleet;
/** Only a list that has not been paged is asked for again by itself: it would become shorter. */
const PAGE = 30;
const TABS = ["machines", "deployments", "payments"] as const;
const ICONS = { machines: "fleet", deployments: "rocket", payments: "wallet" } as const;

export default function Fleet({ parts }: { parts: string[] }) {
  const tab = TABS.find((name) => name === parts[1]) ?? "machines";
  if (tab === "machines" && parts[2]) return <MachinePage key={parts[2]} wallet={parts[2]} />;
  return (
    <div class="page">
      <h1>{t.heading}</h1>
      <p class="lead">{t.lead}</p>
      <Tabs label={t.heading} current={tab} tabs={TABS.map((name) => ({ id: name, title: t.tabs[name], icon: ICONS[name], href: to(["fleet", name]) }))} />
      {tab === "machines" && <Machines />}
      {tab === "deployments" && <Deployments />}
      {tab === "payments" && <Payments />}
    </div>
  );
}

function Machines() {
  const machines = useList<Machine>(`/workers?limit=${PAGE}`);
  useEvery(BEAT_MS, machines.reload, machines.items.length > 0 && machines.items.length <= PAGE);
  const [isAdding, setIsAdding] = useState(false);
  return (
    <>
      <div class="row spread section-head"><h2>{t.tabs.machines}</h2><Button look="primary" icon="plus" onClick={() => setIsAdding(true)}>{t.add}</Button></div>
      <ul class="rows">
        {machines.items.map(({ walletAddress, hostname, status, lastSeen }) => (
          <li key={walletAddress} class="card pad link-card flat row spread">
            <span class="grow"><a class="name stretched" href={to(["fleet", "machines", walletAddress])} dir="auto">{hostname ?? short(walletAddress)}</a><br /><code class="soft small"><bdi>{short(walletAddress)}</bdi></code></span>
            <span class="soft small">{lastSeen ? <>{t.seen} <Time of={lastSeen} /></> : t.neverSeen}</span>
            <Tag tone={HEALTH_TONES[status]}>{t.health[status]}</Tag>
          </li>
        ))}
      </ul>
      <ListEnd of={machines} empty={<Empty icon="fleet" title={t.noMachines}><p class="soft">{t.noMachinesHint}</p></Empty>} />
      {isAdding && <AddMachine onClose={() => { setIsAdding(false); machines.reload(); }} />}
    </>
  );
}

function AddMachine({ onClose }: { onClose: () => void }) {
  const own = me.value?.wallet ?? "";
  const [wallet, setWallet] = useState(own);
  const [made, setMade] = useState<{ walletAddress: string; token: string }>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  async function register() {
    setBusy(true);
    setError(undefined);
    try {
      setMade(await json("POST", "/workers", { body: wallet.trim() === own && own ? {} : { walletAddress: wallet.trim() } }));
    } catch (error) {
      setError(error);
    } finally {
      setBusy(false);
    }
  }
  if (made) {
    const address = `${location.origin}/api/setup?${new URLSearchParams({ wallet: made.walletAddress, token: made.token })}`;
    return (
      <Dialog title={t.setUp} onClose={onClose}>
        <p>{t.setUpWords}</p>
        <Snippet text={`curl -fsSL "${address}" | sh`} label={t.setUpCommand} />
        <p class="note warn">{t.tokenOnce}</p>
        <div class="row end"><Button look="primary" onClick={onClose}>{texts.done}</Button></div>
      </Dialog>
    );
  }
  return (
    <Dialog title={t.add} onClose={onClose}>
      <p>{t.addWords}</p>
      <form onSubmit={(event) => { event.preventDefault(); void register(); }}>
        <Field label={t.wallet} value={wallet} required spellcheck={false} placeholder="0x…" hint={t.walletHint} onInput={(event) => setWallet(event.currentTarget.value)} />
        {error !== undefined && <Failure error={error} />}
        <div class="row end"><Button onClick={onClose}>{texts.cancel}</Button><Button type="submit" look="primary" busy={busy}>{t.getToken}</Button></div>
      </form>
    </Dialog>
  );
}

const TONES = { pending: "busy", processing: "busy", success: "good", failed: "bad" } as const;

function Deployments() {
  const deployments = useList<FleetDeployment>(`/deployments?limit=${PAGE}`);
  // Until each has come to its end.
  useEvery(5_000, deployments.reload, deployments.items.length <= PAGE && deployments.items.some(({ status }) => status === "pending" || status === "processing"));
  const [isAdding, setIsAdding] = useState(false);
  const [removed, setRemoved] = useState<FleetDeployment>();
  return (
    <>
      <div class="row spread section-head"><h2>{t.tabs.deployments}</h2><Button look="primary" icon="plus" onClick={() => setIsAdding(true)}>{t.deploy}</Button></div>
      <ul class="rows">
        {deployments.items.map((deployment) => {
          const { name, url, githubRepo, branch, status, replicas, errorMessage, envVarNames, updatedAt } = deployment;
          return (
            <li key={name} class="card pad">
              <div class="row spread"><span><b><bdi>{name}</bdi></b> <Tag tone={TONES[status]}>{t.statuses[status]}</Tag></span><span class="soft small"><Time of={updatedAt} /></span></div>
              <p class="soft"><bdi>{githubRepo}</bdi> · <bdi>{branch}</bdi> · {t.replicas(replicas)}{envVarNames.length > 0 && ` · ${t.variables(envVarNames.length)}`}</p>
              <Flow status={status} />
              {errorMessage && <p class="hint bad" dir="auto">{errorMessage}</p>}
              <div class="row spread">
                {status === "success" && /^https?:\/\//.test(url) ? <a href={url} target="_blank" rel="noopener noreferrer"><bdi>{url}</bdi></a> : <span />}
                <span class="row">
                  <Action look="quiet" aria-label={t.fewer(name)} disabled={replicas <= 1} run={() => scale(deployment, -1)}>−</Action>
                  <span>{replicas}</span>
                  <Action look="quiet" aria-label={t.moreOf(name)} disabled={replicas >= 10} run={() => scale(deployment, 1)}>+</Action>
                  {status === "failed" && <Action icon="again" run={async () => changed(await json("PATCH", `/deployments/${name}/status`, { body: { status: "pending" } }))}>{texts.tryAgain}</Action>}
                  <Button look="danger" icon="trash" aria-label={t.delete(name)} title={t.delete(name)} onClick={() => setRemoved(deployment)} />
                </span>
              </div>
            </li>
          );
        })}
      </ul>
      <ListEnd of={deployments} empty={<Empty icon="rocket" title={t.noDeployments}><p class="soft">{t.noDeploymentsHint}</p></Empty>} />
      {isAdding && <NewDeployment onClose={() => setIsAdding(false)} onMade={(made) => { deployments.setItems((items) => [made, ...items]); setIsAdding(false); }} />}
      {removed && <Confirm title={t.delete(removed.name)} words={t.deleteWords} action={texts.delete} onClose={() => setRemoved(undefined)}
        run={async () => { await ask("DELETE", `/deployments/${removed.name}`); deployments.setItems((items) => items.filter(({ name }) => name !== removed.name)); }} />}
    </>
  );

  function changed(now: FleetDeployment) {
    deployments.setItems((items) => items.map((item) => (item.name === now.name ? now : item)));
  }
  async function scale({ name, replicas }: FleetDeployment, by: number) {
    changed(await json<FleetDeployment>("PATCH", `/deployments/${name}/replicas`, { body: { replicas: replicas + by } }));
  }
}

const FLOW = ["pending", "processing", "success"] as const;

/** How far a deployment has come. */
function Flow({ status }: { status: FleetDeployment["status"] }) {
  const at = status === "failed" ? 1 : FLOW.indexOf(status);
  return (
    <ol class={`flow ${status}`} aria-label={t.flow}>
      {FLOW.map((step, index) => <li key={step} class={index < at || status === "success" ? "done" : index === at ? "now" : ""} aria-current={index === at ? "step" : undefined}>{status === "failed" && index === at ? t.statuses.failed : t.statuses[step]}</li>)}
    </ol>
  );
}

function NewDeployment({ onClose, onMade }: { onClose: () => void; onMade: (made: FleetDeployment) => void }) {
  const [form, setForm] = useState({ name: "", github: "", branch: "main", port: "3000", creator: me.value?.wallet ?? "", env: "" });
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const bind = (name: keyof typeof form) => ({ value: form[name], onInput: (event: { currentTarget: { value: string } }) => setForm({ ...form, [name]: event.currentTarget.value }) });
  async function make() {
    setBusy(true);
    setError(undefined);
    try {
      const envVars = Object.fromEntries(form.env.split("\n").filter((line) => line.includes("=")).map((line) => [line.slice(0, line.indexOf("=")).trim(), line.slice(line.indexOf("=") + 1)]));
      onMade(await json("POST", "/deployments", {
        body: { name: form.name.trim(), github: form.github.trim(), branch: form.branch.trim(), port: Number(form.port), creator: form.creator.trim(), ...(Object.keys(envVars).length > 0 ? { envVars } : {}) },
        headers: { "idempotency-key": crypto.randomUUID() },
      }));
    } catch (error) {
      setError(error);
      setBusy(false);
    }
  }
  return (
    <Dialog title={t.deploy} onClose={onClose}>
      <form onSubmit={(event) => { event.preventDefault(); void make(); }}>
        <Field label={t.name} required placeholder="my-app" hint={t.nameHint} {...bind("name")} />
        <Field label={t.repository} required placeholder="owner/repository" {...bind("github")} />
        <div class="columns"><Field label={t.branch} required {...bind("branch")} /><Field label={t.port} required inputMode="numeric" pattern="[0-9]+" {...bind("port")} /></div>
        <Field label={t.creator} required spellcheck={false} placeholder="0x…" hint={t.creatorHint} {...bind("creator")} />
        <div class="field"><label for="env">{t.env}</label><textarea id="env" rows={3} spellcheck={false} placeholder="NAME=value" aria-describedby="env-hint" {...bind("env")} /><p class="hint" id="env-hint">{t.envHint}</p></div>
        {error !== undefined && <Failure error={error} />}
        <div class="row end"><Button onClick={onClose}>{texts.cancel}</Button><Button type="submit" look="primary" busy={busy}>{t.deploy}</Button></div>
      </form>
    </Dialog>
  );
}

function Payments() {
  const payments = useList<Payment>("/payments?limit=50");
  return (
    <>
      <h2 class="section-head">{t.tabs.payments}</h2>
      {payments.items.length > 0 && (
        <div class="wide" tabIndex={0} role="group" aria-label={t.tabs.payments}>
          <table>
            <thead><tr><th scope="col">{t.payment}</th><th scope="col" class="number-cell">{t.amount}</th><th scope="col">{t.to}</th><th scope="col">{t.transaction}</th><th scope="col">{t.when}</th></tr></thead>
            <tbody>
              {payments.items.map(({ id, name, amount, creator, txHash, createdAt }) => (
                <tr key={id}><td dir="auto">{name}</td><td class="number-cell">{whole(amount)}</td><td><code title={creator}>{short(creator)}</code></td><td>{txHash ? <span class="row"><code title={txHash}>{short(txHash)}</code><Copy text={txHash} label={t.copyTransaction} /></span> : <span class="soft">{t.owed}</span>}</td><td><time dateTime={createdAt}>{moment(createdAt)}</time></td></tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <ListEnd of={payments} empty={<Empty icon="wallet" title={t.noPayments}><p class="soft">{t.noPaymentsHint}</p></Empty>} />
    </>
  );
}

