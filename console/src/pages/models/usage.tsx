// What was asked of models and spent, by day and by model.

import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../../api/client.ts";
import type { Limit, UsageRow } from "../../api/types.ts";
import { brief, count, dollars, duration } from "../../format.ts";
import { me, refresh } from "../../session.ts";
import { texts } from "../../texts.ts";
import { isDark } from "../../theme.ts";
import { Load, useLoad } from "../../ui/load.tsx";
import { Choice, Empty, Failure } from "../../ui/parts.tsx";

const t = texts.models;
const DAYS = ["7", "30", "90"] as const;
const MEASURES = ["cost", "requests", "tokens"] as const;
type Measure = (typeof MEASURES)[number];

const OF: Record<Measure, (row: UsageRow) => number> = {
  cost: ({ costMicroUsd }) => costMicroUsd / 1_000_000,
  requests: ({ requests }) => requests,
  tokens: ({ inputTokens, outputTokens }) => inputTokens + outputTokens,
};
const SHOWN: Record<Measure, (value: number) => string> = { cost: (value) => dollars(value * 1_000_000), requests: count, tokens: brief };

/** The UTC days of a time, oldest first. */
export function daysUpTo(today: Date, number: number): string[] {
  return Array.from({ length: number }, (_, at) => new Date(today.getTime() - (number - 1 - at) * 86_400_000).toISOString().slice(0, 10));
}

export function UsagePage() {
  const [days, setDays] = useState<(typeof DAYS)[number]>("30");
  const [measure, setMeasure] = useState<Measure>("cost");
  const wanted = daysUpTo(new Date(), Number(days));
  const from = wanted[0] ?? "";
  const usage = useLoad((signal) => get<{ data: UsageRow[] }>(`/v1/usage?from=${from}&group_by=day,model`, signal), from);
  useEffect(() => void refresh(), []);
  return (
    <>
      <div class="row wrap section-head">
        <Choice label={t.time} value={days} onChange={setDays} options={DAYS.map((number) => [number, t.lastDays(Number(number))] as const)} />
        <Choice label={t.measure} value={measure} onChange={setMeasure} options={MEASURES.map((name) => [name, t.measures[name]] as const)} />
      </div>
      <Budgets limits={me.value?.limits ?? []} />
      <Load of={usage}>{({ data }) => data.length === 0 ? <Empty icon="operate" title={t.noUsage}><p class="soft">{t.noUsageHint}</p></Empty> : <Used rows={data} days={wanted} measure={measure} />}</Load>
    </>
  );
}

/** What of today's budget is spent. */
function Budgets({ limits }: { limits: Limit[] }) {
  const budget = limits.find(({ name }) => name === "budget-day");
  if (!budget) return null;
  return (
    <div class="card pad budget">
      <div class="row spread"><label for="budget">{t.budget}</label><b>{t.spentOf(dollars(budget.used), dollars(budget.limit))}</b></div>
      <progress id="budget" max={Math.max(1, budget.limit)} value={budget.used} />
      <p class="soft small">{texts.account.resets(duration((Date.parse(budget.resetsAt) - Date.now()) / 1000))}</p>
    </div>
  );
}

const unnamed = (model: string | null): string => model ?? "–";

function Used({ rows, days, measure }: { rows: UsageRow[]; days: string[]; measure: Measure }) {
  const sums = new Map<string, UsageRow>();
  for (const row of rows) {
    const sum = sums.get(unnamed(row.model));
    if (!sum) sums.set(unnamed(row.model), { ...row });
    else for (const name of ["requests", "failed", "inputTokens", "outputTokens", "costMicroUsd"] as const) sum[name] += row[name];
  }
  const models = [...sums].sort(([, one], [, other]) => OF[measure](other) - OF[measure](one));
  const total = (of: (row: UsageRow) => number) => rows.reduce((sum, row) => sum + of(row), 0);
  return (
    <>
      <dl class="figures">
        <div><dt>{t.measures.cost}</dt><dd>{SHOWN.cost(total(OF.cost))}</dd></div>
        <div><dt>{t.measures.requests}</dt><dd>{count(total(OF.requests))}</dd></div>
        <div><dt>{t.measures.tokens}</dt><dd>{brief(total(OF.tokens))}</dd></div>
        <div><dt>{t.failed}</dt><dd>{count(total(({ failed }) => failed))}</dd></div>
      </dl>
      <Chart key={`${measure}-${days.length}-${isDark()}`} rows={rows} days={days} models={models.map(([model]) => model)} measure={measure} />
      <div class="wide" tabIndex={0} role="region" aria-label={t.byModel}>
        <table>
          <caption class="hidden">{t.byModel}</caption>
          <thead><tr><th scope="col">{t.model}</th><th scope="col" class="number-cell">{t.measures.requests}</th><th scope="col" class="number-cell">{t.failed}</th><th scope="col" class="number-cell">{t.read}</th><th scope="col" class="number-cell">{t.written}</th><th scope="col" class="number-cell">{t.measures.cost}</th></tr></thead>
          <tbody>
            {models.map(([model, row]) => (
              <tr key={model}><th scope="row"><bdi>{model}</bdi></th><td class="number-cell">{count(row.requests)}</td><td class="number-cell">{count(row.failed)}</td><td class="number-cell">{brief(row.inputTokens)}</td><td class="number-cell">{brief(row.outputTokens)}</td><td class="number-cell">{dollars(row.costMicroUsd)}</td></tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

/** The most models that the chart tells apart; the others are one. */
const MOST_SERIES = 6;

function Chart({ rows, days, models, measure }: { rows: UsageRow[]; days: string[]; models: string[]; measure: Measure }) {
  const host = useRef<HTMLDivElement>(null);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    let close: (() => void) | undefined, isGone = false;
    const named = models.length > MOST_SERIES ? models.slice(0, MOST_SERIES - 1) : models;
    const groups = [...named.map((model) => ({ label: model, has: (row: UsageRow) => unnamed(row.model) === model })), ...(named.length < models.length ? [{ label: t.others, has: (row: UsageRow) => !named.includes(unnamed(row.model)) }] : [])];
    const series = groups.map(({ label, has }) => ({ label, values: days.map((day) => rows.filter((row) => row.day === day && has(row)).reduce((sum, row) => sum + OF[measure](row), 0)) }));
    import("./chart.ts").then(({ draw }) => {
      if (!isGone && host.current) close = draw(host.current, { days, series, shown: SHOWN[measure], isDark: isDark(), day: t.day });
    }, setError);
    return () => {
      isGone = true;
      close?.();
    };
  }, []);
  if (error !== undefined) return <Failure error={new Error(texts.outdated)} retry={() => location.reload()} />;
  return <figure class="card pad chart"><figcaption>{t.chartOf(t.measures[measure])}</figcaption><div ref={host} role="img" aria-label={t.chartLabel(t.measures[measure], days.length, models.length)} /></figure>;
}
