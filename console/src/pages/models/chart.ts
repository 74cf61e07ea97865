// What was used each day, a stack of models, drawn by uPlot.

import uPlot from "uplot";

export interface Stack {
  days: string[];
  series: { label: string; values: number[] }[];
  shown: (value: number) => string;
  day: string;
  isDark: boolean;
}

const HUES = { light: ["#d99a00", "#6b7fd7", "#3f8f68", "#c0563a", "#8d5aa8", "#2f8794"], dark: ["#ffc533", "#8f9ff0", "#6cc492", "#e88a6d", "#c394dd", "#6fc3cf"] };
const HEIGHT = 260;

export function draw(host: HTMLElement, { days, series, shown, day, isDark }: Stack): () => void {
  const [soft, line] = isDark ? ["#a5a29a", "#2e2d2a"] : ["#66635c", "#e4e1da"];
  const hues = isDark ? HUES.dark : HUES.light;
  // Each bar reaches as high as all below it together; the highest is drawn first, the others over it.
  const sums: number[][] = [];
  for (const { values } of series) sums.push(values.map((value, at) => value + (sums.at(-1)?.[at] ?? 0)));
  const order = series.map((_, at) => at).reverse();
  const axis = { stroke: soft, font: "12px system-ui", grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  const bars = uPlot.paths.bars?.({ size: [0.7, 42], radius: 0.12 });
  const plot = new uPlot({
    width: host.clientWidth,
    height: HEIGHT,
    cursor: { points: { show: false }, drag: { x: false } },
    // Half a day at each end, so that the first and the last bar are whole.
    scales: { x: { time: true, range: (_, first, last) => [first - 43_200, last + 43_200] }, y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] } },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    axes: [{ ...axis, grid: { show: false } }, { ...axis, size: 72, values: (_, values) => values.map(shown) }],
    series: [
      { label: day, value: (_, value) => (value == null ? "–" : new Date(value * 1000).toISOString().slice(0, 10)) },
      ...order.map((at) => ({
        label: series[at]?.label ?? "",
        fill: hues[at % hues.length] ?? soft,
        width: 0,
        ...(bars && { paths: bars }),
        points: { show: false },
        value: (_: uPlot, __: number, ___: number, index: number | null) => (index === null ? "–" : shown(series[at]?.values[index] ?? 0)),
      })),
    ],
  }, [days.map((day) => Date.parse(day) / 1000), ...order.map((at) => sums[at] ?? [])], host);
  const observer = new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height: HEIGHT }));
  observer.observe(host);
  return () => {
    observer.disconnect();
    plot.destroy();
  };
}
