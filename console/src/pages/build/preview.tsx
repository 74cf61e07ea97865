// The app as it is now, running beside the words: in a frame of an origin of
// its own, which can neither leave the frame nor touch the console.

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, json } from "../../api/client.ts";
import { texts } from "../../texts.ts";
import { Icon } from "../../ui/icon.tsx";
import { Button, Empty, Failure, Loading } from "../../ui/parts.tsx";
import { chatModel } from "./model.tsx";
import type { Workspace } from "./workspace.ts";

const t = texts.build;

interface Preview {
  url: string;
  expiresAt: string;
}

export interface AppError {
  message: string;
  place: string;
}

/** What a preview may do. Not: navigate the console, or be of its origin. */
const SANDBOX = "allow-scripts allow-forms allow-modals allow-popups allow-downloads";
const MAX_ERRORS = 20;

export function PreviewPane({ of }: { of: Workspace }) {
  const project = of.project.value;
  const revision = of.revision.value;
  const [preview, setPreview] = useState<Preview>();
  const [error, setError] = useState<unknown>();
  const [isLoading, setIsLoading] = useState(false);
  const [turn, setTurn] = useState(0);
  const [isNarrow, setIsNarrow] = useState(false);
  const [errors, setErrors] = useState<AppError[]>([]);
  const frame = useRef<HTMLIFrameElement>(null);
  const hasCode = project?.code != null;

  useEffect(() => {
    if (!hasCode) return undefined;
    const leaving = new AbortController();
    setIsLoading(true);
    setErrors([]);
    json<Preview>("POST", `/api/projects/${of.id}/preview`, { signal: leaving.signal }).then(
      (made) => {
        setPreview(made);
        setError(undefined);
        setIsLoading(false);
      },
      (error: unknown) => {
        if (leaving.signal.aborted) return;
        setError(error);
        setIsLoading(false);
      },
    );
    return () => leaving.abort();
  }, [of, revision, turn, hasCode]);

  useEffect(() => {
    const listen = (event: MessageEvent) => {
      if (!preview || event.source !== frame.current?.contentWindow || event.origin !== originOf(preview.url)) return;
      const told = read(event.data);
      if (told) setErrors((before) => (before.length >= MAX_ERRORS || before.some(({ message, place }) => message === told.message && place === told.place) ? before : [...before, told]));
    };
    addEventListener("message", listen);
    return () => removeEventListener("message", listen);
  }, [preview]);

  if (!hasCode) {
    return of.live.value || !of.isLoaded.value
      ? <div class="pane-fill"><Hatching isWriting={of.live.value !== undefined} /></div>
      : <div class="pane-fill"><Empty icon="eye" title={t.nothingToPreview}><p class="soft">{t.nothingToPreviewHint}</p></Empty></div>;
  }

  const mend = (message: string) => of.send(message, chatModel.value());
  return (
    <div class="preview">
      <div class="pane-bar">
        <Button look="quiet" icon="again" busy={isLoading} aria-label={t.reload} title={t.reload} onClick={() => setTurn(turn + 1)} />
        <span class="address">{project.version > 0 ? t.previewVersion(project.version) : t.preview}</span>
        <Button look="quiet" icon={isNarrow ? "desktop" : "phone"} aria-pressed={isNarrow} aria-label={t.narrow} title={t.narrow} onClick={() => setIsNarrow(!isNarrow)} />
        {preview && <a class="button quiet bare" href={preview.url} target="_blank" rel="noopener noreferrer" aria-label={t.openPreview} title={t.openPreview}><Icon name="open" /></a>}
      </div>
      {error !== undefined ? (
        <div class="pane-fill">
          <Failure error={error} retry={() => setTurn(turn + 1)}>
            {error instanceof ApiError && error.code === "not_compiled" && (
              <Button look="primary" icon="send" busy={of.live.value !== undefined} onClick={() => mend(t.mendCompile(error.message))}>{t.sendError}</Button>
            )}
          </Failure>
        </div>
      ) : preview ? (
        <div class={`frame ${isNarrow ? "narrow" : ""}`}>
          {of.live.value && <p class="frame-note"><Icon name="build" size={16} /> {t.beingChanged}</p>}
          <iframe key={`${preview.url} ${turn} ${revision}`} ref={frame} src={preview.url} title={t.previewOf(project.name)} sandbox={sandboxOf(preview.url)} referrerpolicy="no-referrer" />
        </div>
      ) : <div class="pane-fill"><Loading label={t.preparing} /></div>}
      {errors.length > 0 && error === undefined && (
        <div class="app-errors" role="status">
          <details>
            <summary><Icon name="warning" size={16} /> {t.appErrors(errors.length)}</summary>
            <ul>{errors.map(({ message, place }) => <li key={message + place}><code dir="auto">{message}</code>{place && <span class="soft"> <bdi>{place}</bdi></span>}</li>)}</ul>
          </details>
          <Button look="primary" icon="send" busy={of.live.value !== undefined} onClick={() => mend(t.mendErrors(errors))}>{t.sendErrors}</Button>
          <Button look="quiet" icon="close" aria-label={texts.close} onClick={() => setErrors([])} />
        </div>
      )}
    </div>
  );
}

/** Sandboxed beside the API an app has no origin at all. */
function isBesideApi(url: string): boolean {
  return new URL(url).origin === location.origin;
}

const originOf = (url: string): string => (isBesideApi(url) ? "null" : new URL(url).origin);
const sandboxOf = (url: string): string => (isBesideApi(url) ? SANDBOX : `${SANDBOX} allow-same-origin`);

/** What the reporter of a preview says. It comes from an app, so it is anything at all. */
function read(data: unknown): AppError | undefined {
  if (typeof data !== "object" || data === null || (data as { type?: unknown }).type !== "hatch-preview-error") return undefined;
  const { message, file, line } = data as { message?: unknown; file?: unknown; line?: unknown };
  if (typeof message !== "string" || message === "") return undefined;
  const place = typeof file === "string" && file !== "" ? `${file.slice(0, 200)}${typeof line === "number" && line > 0 ? `:${line}` : ""}` : "";
  return { message: message.slice(0, 1_000), place };
}

function Hatching({ isWriting }: { isWriting: boolean }) {
  return (
    <div class="hatching">
      <div class="egg" aria-hidden="true"><span /><span /><span /></div>
      <p class="soft">{isWriting ? t.hatching : texts.loading}</p>
    </div>
  );
}
