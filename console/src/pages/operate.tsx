// For those who run this service: jobs, dead letters, the audit log.

import { useState } from "preact/hooks";
import { ask, get } from "../api/client.ts";
import type { AuditEntry, DeadLetter, Job } from "../api/types.ts";
import { count, moment, short } from "../format.ts";
import { to } from "../routes.ts";
import { texts } from "../texts.ts";
import { ListEnd, useList } from "../ui/load.tsx";
import { Action, Empty, Tabs, Tag, Time } from "../ui/parts.tsx";

const t = texts.operate;
const TABS = ["jobs", "dead-letters", "audit"] as const;

export default function Operate({ parts }: { parts: string[] }) {
  const tab = TABS.find((name) => name === parts[1]) ?? "jobs";
  return (
    <div class="page">
      <h1>{t.heading}</h1>
      <Tabs label={t.heading} current={tab} tabs={TABS.map((name) => ({ id: name, title: t.tabs[name], href: to(["operate", name]) }))} />
      {tab === "jobs" && <Jobs />}
      {tab === "dead-letters" && <DeadLetters />}
      {tab === "audit" && <Audit />}
    </div>
  );
}

const TONES = { queued: "busy", done: "good", failed: "bad" } as const;

function Jobs() {
  const jobs = useList<Job>("/admin/jobs?limit=50");
  return (
    <>
      <div class="row spread section-head"><h2>{t.tabs.jobs}</h2><Action look="quiet" icon="again" run={async () => jobs.reload()}>{texts.reload}</Action></div>
      {jobs.items.length > 0 && (
        <div class="wide" tabIndex={0} role="group" aria-label={t.tabs.jobs}>
          <table>
            <thead><tr><th scope="col">{t.kind}</th><th scope="col">{t.step}</th><th scope="col">{t.state}</th><th scope="col" class="number-cell">{t.attempts}</th><th scope="col">{t.user}</th><th scope="col">{t.when}</th><th scope="col">{t.error}</th></tr></thead>
            <tbody>{jobs.items.map((job) => <tr key={job.id}><td>{job.kind}<br /><code class="soft small" title={job.subjectId}>{short(job.subjectId)}</code></td><td>{job.step}</td><td><Tag tone={TONES[job.state]}>{t.states[job.state]}</Tag></td><td class="number-cell">{job.attempts}</td><td><code title={job.userId}>{short(job.userId)}</code></td><td><Time of={job.updatedAt} /></td><td dir="auto">{job.error ?? ""}</td></tr>)}</tbody>
          </table>
        </div>
      )}
      <ListEnd of={jobs} empty={<Empty icon="operate" title={t.noJobs} />} />
    </>
  );
}

function DeadLetters() {
  const letters = useList<DeadLetter>("/admin/dead-letters?limit=50");
  return (
    <>
      <h2 class="section-head">{t.tabs["dead-letters"]}</h2>
      <p class="soft">{t.lettersWords}</p>
      <ul class="rows">
        {letters.items.map(({ id, reason, body, createdAt, redrivenAt }) => (
          <li key={id} class="card pad">
            <div class="row spread"><b dir="auto">{reason}</b><span class="soft small"><Time of={createdAt} /></span></div>
            <pre tabIndex={0} aria-label={t.message}><code>{body}</code></pre>
            <div class="row end">{redrivenAt ? <Tag tone="good">{t.redriven}</Tag> : <Action icon="again" done={t.redriven} run={async () => { await ask("POST", `/admin/dead-letters/${id}/redrive`); letters.reload(); }}>{t.redrive}</Action>}</div>
          </li>
        ))}
      </ul>
      <ListEnd of={letters} empty={<Empty icon="check" title={t.noLetters} />} />
    </>
  );
}

interface Verdict {
  intact: boolean;
  entries: number;
  head: string;
  brokenAt: number | null;
}

function Audit() {
  const entries = useList<AuditEntry>("/admin/audit?limit=50");
  const [verdict, setVerdict] = useState<Verdict>();
  return (
    <>
      <div class="row spread section-head"><h2>{t.tabs.audit}</h2><Action icon="check" run={async () => setVerdict(await get<Verdict>("/admin/audit/verify"))}>{t.verify}</Action></div>
      {verdict && (
        <p class={`note ${verdict.intact ? "" : "warn"}`} role="status">
          <Tag tone={verdict.intact ? "good" : "bad"}>{verdict.intact ? t.intact : t.broken(verdict.brokenAt ?? 0)}</Tag> {t.entries(count(verdict.entries))} <code>{verdict.head.slice(0, 16)}…</code>
        </p>
      )}
      {entries.items.length > 0 && (
        <div class="wide" tabIndex={0} role="group" aria-label={t.tabs.audit}>
          <table>
            <thead><tr><th scope="col" class="number-cell">{t.seq}</th><th scope="col">{t.action}</th><th scope="col">{t.subject}</th><th scope="col">{t.actor}</th><th scope="col">{t.when}</th></tr></thead>
            <tbody>{entries.items.map((entry) => <tr key={entry.seq}><td class="number-cell">{entry.seq}</td><td>{entry.action}</td><td><code title={entry.subject}>{short(entry.subject)}</code></td><td><code title={entry.actor}>{short(entry.actor)}</code></td><td><time dateTime={entry.at}>{moment(entry.at)}</time></td></tr>)}</tbody>
          </table>
        </div>
      )}
      <ListEnd of={entries} empty={<Empty icon="operate" title={t.noEntries} />} />
    </>
  );
}
