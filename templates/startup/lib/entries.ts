import { site } from '@/lib/site';

export type Entry = {
  id: string;
  title: string;
  detail: string;
  status: string;
  createdAt: string;
};

export type NewEntry = Pick<Entry, 'title' | 'detail' | 'status'>;

/** What was read, or what to tell the person who wrote it. */
export type Parsed<T> = { ok: true; value: T } | { ok: false; error: string };

export const TITLE_LENGTH = 120;
export const DETAIL_LENGTH = 500;

/** Reads a new entry; without a status it gets the first one. */
export function parseEntry(input: unknown): Parsed<NewEntry> {
  const change = parseChange({ detail: '', status: site.statuses[0], ...fields(input) });
  if (!change.ok) return change;
  const { title, detail = '', status = '' } = change.value;
  return title === undefined ? wrong('Please enter a title.') : { ok: true, value: { title, detail, status } };
}

/** Reads a change of an entry: only the fields that are there. */
export function parseChange(input: unknown): Parsed<Partial<NewEntry>> {
  const { title, detail, status } = fields(input);
  const value: Partial<NewEntry> = {};
  if (title !== undefined) {
    if (typeof title !== 'string' || title.trim() === '') return wrong('Please enter a title.');
    if (title.trim().length > TITLE_LENGTH) return wrong(`A title has at most ${TITLE_LENGTH} characters.`);
    value.title = title.trim();
  }
  if (detail !== undefined) {
    if (typeof detail !== 'string') return wrong('Details are text.');
    if (detail.trim().length > DETAIL_LENGTH) return wrong(`Details have at most ${DETAIL_LENGTH} characters.`);
    value.detail = detail.trim();
  }
  if (status !== undefined) {
    if (typeof status !== 'string' || !site.statuses.includes(status)) {
      return wrong(`The status is one of ${site.statuses.join(', ')}.`);
    }
    value.status = status;
  }
  return Object.keys(value).length === 0 ? wrong('There is nothing to change.') : { ok: true, value };
}

/** Reads an e-mail address. Whether it exists only a message to it can tell. */
export function parseEmail(input: unknown): Parsed<string> {
  const { email } = fields(input);
  const text = typeof email === 'string' ? email.trim().toLowerCase() : '';
  if (text.length > 254 || !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(text)) return wrong('Please enter an e-mail address.');
  return { ok: true, value: text };
}

/** How many entries each status has. */
export function countByStatus(entries: Entry[]): Record<string, number> {
  const counts = Object.fromEntries(site.statuses.map((status) => [status, 0]));
  for (const entry of entries) counts[entry.status] = (counts[entry.status] ?? 0) + 1;
  return counts;
}

/** The entries with `query` in their title or details, whatever the case. */
export function search(entries: Entry[], query: string): Entry[] {
  const wanted = query.trim().toLowerCase();
  return entries.filter((entry) => `${entry.title}\n${entry.detail}`.toLowerCase().includes(wanted));
}

function fields(input: unknown): Record<string, unknown> {
  return typeof input === 'object' && input !== null ? (input as Record<string, unknown>) : {};
}

function wrong(error: string): { ok: false; error: string } {
  return { ok: false, error };
}
