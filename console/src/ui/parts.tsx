// The parts that pages are made of.

import { signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/client.ts";
import { ago, moment } from "../format.ts";
import { texts } from "../texts.ts";
import { Icon, type IconName } from "./icon.tsx";

/** What went wrong, in words for people. */
export function wordsOf(error: unknown): string {
  return error instanceof Error && error.message ? error.message : texts.unknownError;
}

type ButtonProps = Omit<JSX.IntrinsicElements["button"], "icon"> & {
  icon?: IconName;
  look?: "primary" | "plain" | "quiet" | "danger";
  busy?: boolean | undefined;
  children?: ComponentChildren;
};

export function Button({ icon, look = "plain", busy = false, children, class: more, ...rest }: ButtonProps) {
  const isBare = children === undefined;
  return (
    <button type="button" {...rest} class={`button ${look}${isBare ? " bare" : ""} ${more ?? ""}`} aria-disabled={busy || undefined}
      onClick={(event) => (busy ? event.preventDefault() : rest.onClick?.(event))}>
      {busy ? <Spinner /> : icon && <Icon name={icon} />}
      {children !== undefined && <span>{children}</span>}
    </button>
  );
}

/** A button that does something that takes a while, and shows what went wrong beside itself. */
export function Action({ run, done, ...rest }: Omit<ButtonProps, "busy"> & { run: () => Promise<unknown>; done?: string }) {
  const [busy, setBusy] = useState(false);
  async function act() {
    setBusy(true);
    try {
      await run();
      if (done) say(done);
    } catch (error) {
      say(wordsOf(error), "error");
    } finally {
      setBusy(false);
    }
  }
  return <Button {...rest} busy={busy} onClick={act} />;
}

export function Spinner() {
  return <span class="spinner" aria-hidden="true" />;
}

export function Loading({ label = texts.loading }: { label?: string }) {
  return <p class="loading" role="status"><Spinner /> {label}</p>;
}

export function Empty({ icon, title, children }: { icon: IconName; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={icon} size={28} />
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

/** An error with what can be done about it. */
export function Failure({ error, retry, children }: { error: unknown; retry?: (() => void) | undefined; children?: ComponentChildren }) {
  const requestId = error instanceof ApiError ? error.requestId : undefined;
  // Of the compiler: a line of words, and lines of code.
  const [words, ...frame] = wordsOf(error).split("\n");
  return (
    <div class="failure" role="alert">
      <Icon name="warning" />
      <div>
        <p dir="auto">{words}</p>
        {frame.length > 0 && <pre tabIndex={0} aria-label={texts.details}><code>{frame.join("\n")}</code></pre>}
        {error instanceof ApiError && error.retryAfter && <p class="soft">{texts.retryAfter(error.retryAfter)}</p>}
        {requestId && <p class="soft small">{texts.requestId} <code>{requestId}</code></p>}
        {(retry || children) && <div class="row">{retry && <Button icon="again" onClick={retry}>{texts.tryAgain}</Button>}{children}</div>}
      </div>
    </div>
  );
}

export function Time({ of }: { of: string }) {
  return <time dateTime={of} title={moment(of)}>{ago(of)}</time>;
}

export function Tag({ tone = "plain", children }: { tone?: "plain" | "good" | "bad" | "busy" | "warn"; children: ComponentChildren }) {
  return <span class={`tag ${tone}`}>{children}</span>;
}

export function Copy({ text, label = texts.copy }: { text: string; label?: string }) {
  const [copied, setCopied] = useState(false);
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      say(texts.copied);
      setTimeout(() => setCopied(false), 2_000);
    } catch {
      say(texts.cannotCopy, "error");
    }
  }
  return <Button look="quiet" icon={copied ? "check" : "copy"} onClick={copy} aria-label={label} title={label} />;
}

/** A command, or anything else to take along. */
export function Snippet({ text, label }: { text: string; label: string }) {
  return (
    <div class="snippet">
      <pre tabIndex={0} aria-label={label}><code>{text}</code></pre>
      <Copy text={text} label={texts.copyOf(label)} />
    </div>
  );
}

type FieldProps = Omit<JSX.IntrinsicElements["input"], "label"> & { label: string; hint?: string; suffix?: ComponentChildren };

/** A field with its label. One with `autofocus` has the cursor whenever it appears: browsers heed the attribute once a page. */
export function Field({ label, hint, class: more, ...rest }: FieldProps) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    if (rest.autofocus) input.current?.focus();
  }, []);
  return (
    <div class={`field ${more ?? ""}`}>
      <label for={id}>{label}</label>
      <input {...(rest as JSX.IntrinsicElements["input"])} ref={input} id={id} dir="auto" {...(hint ? { "aria-describedby": `${id}-hint` } : {})} />
      {hint && <p class="hint" id={`${id}-hint`}>{hint}</p>}
    </div>
  );
}

type Option<T extends string> = readonly [T, string];
export type Options<T extends string = string> = readonly (Option<T> | { group: string; options: readonly Option<T>[] })[];

export function Choice<T extends string>({ label, value, options, onChange, isHidden = false }: {
  label: string; value: T; options: Options<T>; onChange: (value: T) => void; isHidden?: boolean;
}) {
  const shown = ([name, title]: Option<T>) => <option key={name} value={name}>{title}</option>;
  const id = useId();
  return (
    <div class="field choice">
      <label for={id} class={isHidden ? "hidden" : ""}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.currentTarget.value as T)}>
        {options.map((option) => ("group" in option ? <optgroup key={option.group} label={option.group}>{option.options.map(shown)}</optgroup> : shown(option)))}
      </select>
    </div>
  );
}

export interface Tab {
  id: string;
  title: string;
  icon?: IconName;
  href: string;
}

/** Pages beside each other: links, for each has an address. */
export function Tabs({ label, tabs, current }: { label: string; tabs: Tab[]; current: string }) {
  const row = useRef<HTMLElement>(null);
  // Where there are more than fit, the one that is open is seen.
  useEffect(() => row.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" }), [current]);
  return (
    <nav class="tabs" aria-label={label} ref={row}>
      {tabs.map(({ id, title, icon, href }) => (
        <a key={id} href={href} aria-current={id === current ? "page" : undefined}>{icon && <Icon name={icon} size={16} />}<span>{title}</span></a>
      ))}
    </nav>
  );
}

/** A dialog as the browser has it: it keeps the focus, and Escape closes it. */
export function Dialog({ title, onClose, children }: { title: string; onClose: () => void; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const opener = document.activeElement;
    dialog.current?.showModal();
    return () => (opener instanceof HTMLElement ? opener.focus() : undefined);
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose} onClick={(event) => event.target === dialog.current && dialog.current?.close()}>
      <div class="dialog">
        <header class="dialog-head">
          <h2 id={id}>{title}</h2>
          <Button look="quiet" icon="close" aria-label={texts.close} onClick={() => dialog.current?.close()} />
        </header>
        {children}
      </div>
    </dialog>
  );
}

/** Asks before something that cannot be taken back. */
export function Confirm({ title, words, action, run, onClose }: {
  title: string; words: string; action: string; run: () => Promise<unknown>; onClose: () => void;
}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  async function act() {
    setBusy(true);
    try {
      await run();
      onClose();
    } catch (error) {
      setError(error);
      setBusy(false);
    }
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <p dir="auto">{words}</p>
      {error !== undefined && <Failure error={error} />}
      <div class="row end">
        <Button onClick={onClose}>{texts.cancel}</Button>
        <Button look="danger" busy={busy} onClick={act}>{action}</Button>
      </div>
    </Dialog>
  );
}

interface Toast {
  id: number;
  words: string;
  tone: "info" | "error";
}

const toasts = signal<Toast[]>([]);
let lastToast = 0;

/** Says something in passing. Errors stay until they are closed. */
export function say(words: string, tone: Toast["tone"] = "info"): void {
  lastToast += 1;
  const id = lastToast;
  toasts.value = [...toasts.value.slice(-2), { id, words, tone }];
  if (tone === "info") setTimeout(() => hush(id), 4_000);
}

function hush(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, words, tone }) => (
        <div key={id} class={`toast ${tone}`}>
          <Icon name={tone === "error" ? "warning" : "check"} />
          <span dir="auto">{words}</span>
          <Button look="quiet" icon="close" aria-label={texts.close} onClick={() => hush(id)} />
        </div>
      ))}
    </div>
  );
}
