// Numbers and times as the reader's language writes them.

const LANGUAGE = document.documentElement.lang || "en";

const relative = new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "auto" });
const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [["day", 86_400], ["hour", 3_600], ["minute", 60]];

/** "2 hours ago"; a date for what is older than a month. */
export function ago(iso: string, now = Date.now()): string {
  const seconds = (Date.parse(iso) - now) / 1000;
  if (Math.abs(seconds) > 30 * 86_400) return date(iso);
  const [unit, length] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  return relative.format(unit === "second" ? Math.min(0, Math.trunc(seconds)) : Math.trunc(seconds / length), unit);
}

const dates = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium" });
const moments = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "medium" });
export const date = (iso: string): string => dates.format(Date.parse(iso));
export const moment = (iso: string): string => moments.format(Date.parse(iso));

const numbers = new Intl.NumberFormat(LANGUAGE);
const compact = new Intl.NumberFormat(LANGUAGE, { notation: "compact", maximumFractionDigits: 1 });
export const count = (number: number): string => numbers.format(number);
export const brief = (number: number): string => compact.format(number);
/** A uint256, which no number of JavaScript's holds. */
export const whole = (digits: string): string => (/^\d+$/.test(digits) ? numbers.format(BigInt(digits)) : digits);

export function bytes(size: number): string {
  if (size < 1000) return `${size} B`;
  return size < 1_000_000 ? `${(size / 1000).toFixed(1)} KB` : `${(size / 1_000_000).toFixed(1)} MB`;
}

/** Millionths of a dollar, with as many digits as say something. */
export function dollars(micro: number): string {
  const amount = micro / 1_000_000;
  const digits = amount === 0 || amount >= 1 ? 2 : amount >= 0.01 ? 3 : 5;
  return new Intl.NumberFormat(LANGUAGE, { style: "currency", currency: "USD", maximumFractionDigits: digits, minimumFractionDigits: 2 }).format(amount);
}

export function duration(seconds: number): string {
  const parts: [number, string][] = [[Math.floor(seconds / 86_400), "d"], [Math.floor((seconds % 86_400) / 3_600), "h"], [Math.floor((seconds % 3_600) / 60), "min"]];
  const filled = parts.filter(([amount]) => amount > 0).slice(0, 2);
  return filled.length > 0 ? filled.map(([amount, unit]) => `${amount} ${unit}`).join(" ") : `${Math.floor(seconds)} s`;
}

/** A wallet or an id, its middle left out. */
export const short = (id: string): string => (id.length > 14 ? `${id.slice(0, 6)}…${id.slice(-4)}` : id);
