'use client';

import { type FormEvent, useEffect, useState } from 'react';
import { send } from '@/components/send';
import { DETAIL_LENGTH, type Entry, TITLE_LENGTH, countByStatus, search } from '@/lib/entries';
import { site } from '@/lib/site';

export default function Board() {
  const [entries, setEntries] = useState<Entry[] | null>(null);
  const [query, setQuery] = useState('');
  const [error, setError] = useState('');

  useEffect(() => {
    send<{ entries: Entry[] }>('GET', '/api/entries').then((answer) => {
      setEntries(answer.ok ? answer.data.entries : []);
      setError(answer.ok ? '' : answer.error);
    });
  }, []);

  async function change(entry: Entry, status: string) {
    const answer = await send<{ entry: Entry }>('PATCH', `/api/entries/${entry.id}`, { status });
    if (!answer.ok) return setError(answer.error);
    setError('');
    setEntries((all) => (all ?? []).map((other) => (other.id === entry.id ? answer.data.entry : other)));
  }

  async function remove(entry: Entry) {
    const answer = await send('DELETE', `/api/entries/${entry.id}`);
    if (!answer.ok) return setError(answer.error);
    setError('');
    setEntries((all) => (all ?? []).filter((other) => other.id !== entry.id));
  }

  const counts = countByStatus(entries ?? []);
  const found = search(entries ?? [], query);

  return (
    <>
      <AddForm onAdded={(entry) => setEntries((all) => [entry, ...(all ?? [])])} />
      <p role="alert" className="mt-4 text-sm text-red-600 dark:text-red-400">
        {error}
      </p>
      <div className="mt-4 flex flex-wrap items-center justify-between gap-3">
        <ul className="flex flex-wrap gap-x-5 gap-y-1 text-sm text-muted">
          {site.statuses.map((status) => (
            <li key={status}>
              {status} <strong className="text-ink">{counts[status]}</strong>
            </li>
          ))}
        </ul>
        <input
          type="search"
          aria-label={`Search ${site.nouns}`}
          placeholder="Search"
          className="field sm:w-56"
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
      </div>
      <ul className="mt-4 space-y-3">
        {found.map((entry) => (
          <li key={entry.id} className="card flex flex-wrap items-center gap-4 p-4">
            <div dir="auto" className="min-w-0 flex-1 basis-60">
              <p className="break-words font-semibold">{entry.title}</p>
              {entry.detail && <p className="whitespace-pre-line break-words text-sm text-muted">{entry.detail}</p>}
            </div>
            <select
              aria-label={`Status of ${entry.title}`}
              className="field w-auto py-1.5"
              value={entry.status}
              onChange={(event) => change(entry, event.target.value)}
            >
              {site.statuses.map((status) => (
                <option key={status}>{status}</option>
              ))}
            </select>
            <button
              className="text-sm text-muted underline hover:text-ink"
              aria-label={`Delete ${entry.title}`}
              onClick={() => remove(entry)}
            >
              Delete
            </button>
          </li>
        ))}
      </ul>
      {found.length === 0 && (
        <p className="card mt-4 border-dashed text-center text-muted">
          {entries === null
            ? 'One moment…'
            : entries.length === 0
              ? `No ${site.nouns} yet. Add the first one above.`
              : `Nothing found for “${query}”.`}
        </p>
      )}
    </>
  );
}

function AddForm({ onAdded }: { onAdded: (entry: Entry) => void }) {
  const [title, setTitle] = useState('');
  const [detail, setDetail] = useState('');
  const [error, setError] = useState('');
  const [isBusy, setBusy] = useState(false);

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    const answer = await send<{ entry: Entry }>('POST', '/api/entries', { title, detail });
    setBusy(false);
    setError(answer.ok ? '' : answer.error);
    if (!answer.ok) return;
    setTitle('');
    setDetail('');
    onAdded(answer.data.entry);
  }

  return (
    <form onSubmit={submit} className="card mt-6 grid gap-3 p-4 md:grid-cols-[2fr_3fr_auto] md:items-end">
      <label className="text-sm font-medium">
        {site.titleLabel}
        <input
          dir="auto"
          className="field mt-1 font-normal"
          value={title}
          maxLength={TITLE_LENGTH}
          onChange={(event) => setTitle(event.target.value)}
        />
      </label>
      <label className="text-sm font-medium">
        {site.detailLabel}
        <input
          dir="auto"
          className="field mt-1 font-normal"
          value={detail}
          maxLength={DETAIL_LENGTH}
          onChange={(event) => setDetail(event.target.value)}
        />
      </label>
      <button className="button" disabled={isBusy}>
        Add
      </button>
      <p role="alert" className="text-sm text-red-600 empty:hidden md:col-span-3 dark:text-red-400">
        {error}
      </p>
    </form>
  );
}
