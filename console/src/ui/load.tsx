// What is asked of the API for a page: loading, there, or failed.

import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { list, type Page } from "../api/client.ts";
import { texts } from "../texts.ts";
import { Button, Failure, Loading } from "./parts.tsx";

export interface Loaded<T> {
  value: T | undefined;
  error: unknown;
  isLoading: boolean;
  reload: () => void;
  set: (value: T) => void;
}

/** Loads, and loads anew when `key` changes. An answer that comes too late is nobody's. */
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, key: string): Loaded<T> {
  const [state, setState] = useState<{ key: string; value?: T; error?: unknown; isLoading: boolean }>({ key, isLoading: true });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const leaving = new AbortController();
    setState((before) => (before.key === key ? { ...before, isLoading: true } : { key, isLoading: true }));
    load(leaving.signal).then(
      (value) => !leaving.signal.aborted && setState({ key, value, isLoading: false }),
      (error: unknown) => !leaving.signal.aborted && setState((before) => ({ ...before, error, isLoading: false })),
    );
    return () => leaving.abort();
  }, [key, turn]);
  const reload = useCallback(() => setTurn((turn) => turn + 1), []);
  const set = useCallback((value: T) => setState({ key, value, isLoading: false }), [key]);
  const own = state.key === key ? state : { key, isLoading: true };
  return { value: own.value, error: own.error, isLoading: own.isLoading, reload, set };
}

/** Does something again and again, as long as somebody looks. */
export function useEvery(ms: number, again: () => void, isOn = true): void {
  useEffect(() => {
    if (!isOn) return undefined;
    const timer = setInterval(() => document.visibilityState === "visible" && again(), ms);
    return () => clearInterval(timer);
  }, [ms, again, isOn]);
}

/** Shows what has been loaded, or how that stands. */
export function Load<T>({ of, children, label }: { of: Loaded<T>; children: (value: T) => ComponentChildren; label?: string }) {
  if (of.value !== undefined) return <>{of.error !== undefined && <Failure error={of.error} retry={of.reload} />}{children(of.value)}</>;
  if (of.error !== undefined && !of.isLoading) return <Failure error={of.error} retry={of.reload} />;
  return <Loading {...(label ? { label } : {})} />;
}

export interface Listed<T> {
  items: T[];
  setItems: (change: (items: T[]) => T[]) => void;
  error: unknown;
  isLoading: boolean;
  isLoaded: boolean;
  hasMore: boolean;
  more: () => void;
  reload: () => void;
}

/** A list of the API's, a page after the other. */
export function useList<T>(path: string | undefined): Listed<T> {
  const [state, setState] = useState<{ path: string | undefined; items: T[]; next: string | undefined; isLoaded: boolean; isLoading: boolean; error?: unknown }>(
    { path, items: [], next: path, isLoaded: false, isLoading: path !== undefined },
  );
  const leaving = useRef<AbortController | undefined>(undefined);

  const load = useCallback((from: string, isFirst: boolean) => {
    leaving.current?.abort();
    const { signal } = (leaving.current = new AbortController());
    setState((before) => ({ ...before, isLoading: true, error: undefined }));
    list<T>(from, signal).then(
      ({ items, next }: Page<T>) => !signal.aborted && setState((before) => ({ path, items: isFirst ? items : [...before.items, ...items], next, isLoaded: true, isLoading: false })),
      (error: unknown) => !signal.aborted && setState((before) => ({ ...before, path, error, isLoading: false })),
    );
  }, [path]);

  useEffect(() => {
    setState({ path, items: [], next: path, isLoaded: false, isLoading: path !== undefined });
    if (path !== undefined) load(path, true);
    return () => leaving.current?.abort();
  }, [path]);

  const reload = useCallback(() => path !== undefined && load(path, true), [path]);
  const isOwn = state.path === path;
  return {
    items: isOwn ? state.items : [],
    setItems: (change) => setState((before) => ({ ...before, items: change(before.items) })),
    error: isOwn ? state.error : undefined,
    isLoading: !isOwn || state.isLoading,
    isLoaded: isOwn && state.isLoaded,
    hasMore: isOwn && state.isLoaded && state.next !== undefined,
    more: () => state.next !== undefined && load(state.next, !state.isLoaded),
    reload,
  };
}

/** The rest of a list: what it is when empty, what went wrong, and its next page. */
export function ListEnd<T>({ of, empty }: { of: Listed<T>; empty: ComponentChildren }) {
  if (of.error !== undefined) return <Failure error={of.error} retry={of.isLoaded ? of.more : of.reload} />;
  if (of.isLoading && of.items.length === 0) return <Loading />;
  if (of.isLoaded && of.items.length === 0 && !of.hasMore) return <>{empty}</>;
  if (!of.hasMore) return null;
  return <div class="more"><Button busy={of.isLoading} onClick={of.more}>{texts.more}</Button></div>;
}
