// A machine: how it is, when it ran, what runs on it.

import { useEffect, useRef, useState } from "preact/hooks";
import { ask, get, list } from "../../api/client.ts";
import type { Container, Health, Interval, MachineView, Metric } from "../../api/types.ts";
import { count, date, duration, short } from "../../format.ts";
import { go } from "../../routes.ts";
import { texts } from "../../texts.ts";
import { isDark } from "../../theme.ts";
import { Icon } from "../../ui/icon.tsx";
import { Load, useEvery, useLoad } from "../../ui/load.tsx";
import { Button, Confirm, Copy, Empty, Failure, Tag, Time } from "../../ui/parts.tsx";

const t = texts.fleet;
export const HEALTH_TONES = { HEALTHY: "good", WARNING: "warn", DEAD: "bad", UNKNOWN: "plain" } as const satisfies Record<Health, string>;
/** How often a machine tells of itself. */
export const BEAT_MS = 30_000;
const DAYS = 30;
const DAY_MS = 86_400_000;

export function MachinePage({ wallet }: { wallet: string }) {
  const path = `/workers/${encodeURIComponent(wallet)}`;
  const machine = useLoad((signal) => get<MachineView>(path, signal), wallet);
  const uptime = useLoad((signal) => uptimeOf(path, signal), wallet);
  const containers = useLoad((signal) => get<Container[]>(`${path}/containers`, signal), wallet);
  const metrics = useLoad((signal) => get<Metric[]>(`${path}/metrics`, signal), wallet);
  useEvery(BEAT_MS, machine.reload);
  useEvery(BEAT_MS, containers.reload);
  const [isAsking, setIsAsking] = useState(false);
  return (
    <div class="page">
      <p><a class="back" href="#/fleet/machines"><Icon name="back" size={16} /> {t.allMachines}</a></p>
      <Load of={machine}>
        {(view) => !view.exists ? <Empty icon="fleet" title={t.noSuchMachine} /> : (
          <>
            <div class="row spread"><h1 dir="auto">{view.hostname ?? short(wallet)}</h1>{view.status && <Tag tone={HEALTH_TONES[view.status]}>{t.health[view.status]}</Tag>}</div>
            <p class="row"><code><bdi>{wallet}</bdi></code><Copy text={wallet} label={t.copyWallet} /></p>
            <dl class="facts-grid">
              <div><dt>{t.lastSeen}</dt><dd>{view.lastSeen ? <Time of={view.lastSeen} /> : t.never}</dd></div>
              <div><dt>{t.cores}</dt><dd>{view.cpuCores ?? "–"}</dd></div>
              <div><dt>{t.memory}</dt><dd>{view.ramTotalGb != null ? `${view.ramTotalGb} GB` : "–"}</dd></div>
              <div><dt>{t.storage}</dt><dd>{view.storageTotalGb != null ? `${view.storageTotalGb} GB` : "–"}</dd></div>
              <div><dt>{t.network}</dt><dd><bdi>{view.tailscaleIp ?? "–"}</bdi></dd></div>
              <div><dt>{t.credits}</dt><dd>{view.credits != null ? count(view.credits) : "–"}</dd></div>
            </dl>
            <section aria-labelledby="uptime"><h2 id="uptime" class="section-head">{t.uptime}</h2><Load of={uptime}>{(intervals) => <Timeline intervals={intervals} />}</Load></section>
            <section aria-labelledby="load"><h2 id="load" class="section-head">{t.load}</h2><Load of={metrics}>{(values) => values.length > 1 ? <Chart metrics={values} /> : <p class="soft">{t.noMetrics}</p>}</Load></section>
            <section aria-labelledby="containers"><h2 id="containers" class="section-head">{t.containers}</h2><Load of={containers}>{(values) => <Containers containers={values} />}</Load></section>
            <p class="section-head"><Button look="danger" icon="trash" onClick={() => setIsAsking(true)}>{t.revoke}</Button></p>
            {isAsking && <Confirm title={t.revoke} words={t.revokeWords} action={t.revoke} onClose={() => setIsAsking(false)} run={async () => { await ask("DELETE", path); go("#/fleet/machines"); }} />}
          </>
        )}
      </Load>
    </div>
  );
}

/** When it ran in the last 30 days. */
async function uptimeOf(path: string, signal: AbortSignal): Promise<Interval[]> {
  const from = new Date(Date.now() - DAYS * DAY_MS).toISOString();
  const intervals: Interval[] = [];
  for (let next: string | undefined = `${path}/uptime?limit=100&from=${from}`; next && intervals.length < 2_000; ) {
    const page: { items: Interval[]; next: string | undefined } = await list<Interval>(next, signal);
    intervals.push(...page.items);
    next = page.next;
  }
  return intervals;
}

/** A bar a day, filled where the machine ran. */
function Timeline({ intervals }: { intervals: Interval[] }) {
  const end = Date.now(), today = new Date();
  today.setHours(0, 0, 0, 0);
  const days = Array.from({ length: DAYS }, (_, at) => {
    const from = today.getTime() - (DAYS - 1 - at) * DAY_MS, to = Math.min(from + DAY_MS, end);
    const seconds = intervals.reduce((sum, { timeFrom, timeTo }) => sum + Math.max(0, Math.min(Date.parse(timeTo), to) - Math.max(Date.parse(timeFrom), from)), 0) / 1000;
    return { from, seconds, share: to > from ? Math.min(1, (seconds * 1000) / (to - from)) : 0 };
  });
  const total = intervals.reduce((sum, { durationSeconds }) => sum + durationSeconds, 0);
  return (
    <>
      <p class="soft">{t.ran(duration(total))}</p>
      <ol class="timeline" aria-label={t.uptime}>
        {days.map(({ from, seconds, share }) => (
          <li key={from} title={`${date(new Date(from).toISOString())}: ${duration(seconds)}`}>
            <span class="hidden">{date(new Date(from).toISOString())}: {duration(seconds)}</span>
            <span class="bar" aria-hidden="true" style={{ blockSize: `${Math.max(share * 100, share > 0 ? 6 : 0)}%` }} />
          </li>
        ))}
      </ol>
      <p class="soft small row spread" aria-hidden="true"><span>{t.daysAgo(DAYS)}</span><span>{t.today}</span></p>
    </>
  );
}

function Containers({ containers }: { containers: Container[] }) {
  if (containers.length === 0) return <p class="soft">{t.noContainers}</p>;
  return (
    <div class="wide" tabIndex={0} role="group" aria-label={t.containers}>
      <table>
        <thead><tr><th scope="col">{t.name}</th><th scope="col">{t.port}</th><th scope="col" class="number-cell">{t.processor}</th><th scope="col" class="number-cell">{t.memory}</th></tr></thead>
        <tbody>{containers.map(({ containerName, port, cpuPercent, memUsageMb }) => <tr key={containerName}><td><bdi>{containerName}</bdi></td><td>{port ?? "–"}</td><td class="number-cell">{cpuPercent} %</td><td class="number-cell">{count(memUsageMb)} MB</td></tr>)}</tbody>
      </table>
    </div>
  );
}

/** Processor and memory, hour by hour; the library is loaded when there is something to draw. */
function Chart({ metrics }: { metrics: Metric[] }) {
  const host = useRef<HTMLDivElement>(null);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    let remove: (() => void) | undefined, isGone = false;
    import("./chart.ts").then(({ draw }) => {
      if (isGone || !host.current) return;
      remove = draw(host.current, metrics, { processor: t.processor, memory: t.memory, isDark: isDark() });
    }, setError);
    return () => {
      isGone = true;
      remove?.();
    };
  }, [metrics]);
  if (error !== undefined) return <Failure error={new Error(texts.outdated)} />;
  const last = metrics.at(-1);
  return <><div class="chart" ref={host} role="img" aria-label={t.chartLabel(last?.cpuUsagePercent ?? 0, metrics.length)} /></>;
}
