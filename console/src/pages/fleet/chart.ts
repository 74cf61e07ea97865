// What a machine said of itself, drawn by uPlot.

import uPlot from "uplot";
import type { Metric } from "../../api/types.ts";

export function draw(host: HTMLElement, metrics: Metric[], names: { processor: string; memory: string; isDark: boolean }): () => void {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const [soft, line] = names.isDark ? ["#a19e96", "#2e2d2a"] : ["#66635c", "#e4e1da"];
  const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  const plot = new uPlot({
    width: host.clientWidth,
    height: 220,
    scales: { y: { range: [0, 100] } },
    axes: [axis, { ...axis, values: (_, values) => values.map((value) => `${value} %`) }],
    series: [
      {},
      { label: names.processor, stroke: colour("--chart-one") || "#d99a00", width: 2, value: (_, value: number | null) => (value == null ? "–" : `${value} %`) },
      { label: names.memory, stroke: colour("--chart-two") || "#6b7fd7", width: 2, value: (_, value: number | null) => (value == null ? "–" : `${Math.round(value)} %`) },
    ],
  }, [
    metrics.map(({ timestamp }) => Date.parse(timestamp) / 1000),
    metrics.map(({ cpuUsagePercent }) => cpuUsagePercent),
    metrics.map(({ ramUsedGb, ramTotalGb }) => (ramTotalGb > 0 ? (ramUsedGb / ramTotalGb) * 100 : 0)),
  ], host);
  const observer = new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height: 220 }));
  observer.observe(host);
  return () => {
    observer.disconnect();
    plot.destroy();
  };
}
