// A box to search a list by: it asks when one pauses, or presses Enter.

import { useEffect, useRef, useState } from "preact/hooks";
import { texts } from "../texts.ts";
import { Choice, Field } from "./parts.tsx";

const PAUSE_MS = 300;

export function SearchBox<T extends string>({ label, words, onSearch, sort, sorts, onSort, sortLabel }: {
  label: string; words: string; onSearch: (words: string) => void; sort?: T; sorts?: readonly (readonly [T, string])[]; onSort?: (sort: T) => void; sortLabel?: string;
}) {
  const [text, setText] = useState(words);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => setText(words), [words]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const ask = (text: string) => {
    clearTimeout(timer.current);
    if (text.trim() !== words) onSearch(text.trim());
  };
  return (
    <form class="search-box" role="search" onSubmit={(event) => { event.preventDefault(); ask(text); }}>
      <Field label={label} type="search" class="search" maxLength={100} placeholder={label} value={text} onInput={({ currentTarget: { value } }) => {
        setText(value);
        clearTimeout(timer.current);
        timer.current = setTimeout(() => ask(value), PAUSE_MS);
      }} />
      {sort !== undefined && sorts && onSort && <Choice label={sortLabel ?? texts.sort} isHidden value={sort} options={sorts} onChange={onSort} />}
    </form>
  );
}
