// The box in which one says what to build.

import type { Signal } from "@preact/signals";
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { texts } from "../../texts.ts";
import { Icon } from "../../ui/icon.tsx";
import { Choice } from "../../ui/parts.tsx";

const t = texts.build;

/** The families of Claude, by the names that the API knows; none is the Worker's default. */
const MODELS = ["", "sonnet-4.5", "opus-4.5", "haiku-4.5"] as const;
type Model = (typeof MODELS)[number];
const NAME = "hatch.model";

function stored(): Model {
  try {
    return MODELS.find((name) => name === localStorage.getItem(NAME)) ?? "";
  } catch {
    return "";
  }
}

const model = signal<Model>(stored());
export const chosenModel = (): string | undefined => model.value || undefined;

function choose(name: Model): void {
  model.value = name;
  try {
    localStorage.setItem(NAME, name);
  } catch {
    // Then it is chosen for as long as the page is open.
  }
}

export const LONGEST = 32_000;

export function Composer({ draft, placeholder, isBusy, isLarge = false, onSend, onStop }: {
  draft: Signal<string>; placeholder: string; isBusy: boolean; isLarge?: boolean; onSend: (message: string) => void; onStop?: () => void;
}) {
  const box = useRef<HTMLTextAreaElement>(null);
  const text = draft.value;
  const tooLong = [...text].length > LONGEST;
  const maySend = text.trim() !== "" && !tooLong && !isBusy;

  useEffect(() => {
    const area = box.current;
    if (!area) return;
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight, innerHeight * 0.4)}px`;
  }, [text]);

  function send() {
    if (!maySend) return;
    draft.value = "";
    onSend(text.trim());
  }

  return (
    <form class={`composer ${isLarge ? "large" : ""}`} onSubmit={(event) => { event.preventDefault(); send(); }}>
      <label class="hidden" for="prompt">{placeholder}</label>
      <textarea id="prompt" ref={box} rows={isLarge ? 3 : 1} dir="auto" value={text} placeholder={placeholder} aria-describedby="prompt-hint"
        onInput={(event) => (draft.value = event.currentTarget.value)}
        onKeyDown={(event) => {
          // While an input method composes a word, Enter is its own.
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          send();
        }} />
      <div class="composer-foot">
        <Choice label={t.model} isHidden value={model.value} onChange={choose} options={MODELS.map((name) => [name, t.models[name]] as const)} />
        <span class={tooLong ? "hint bad" : isLarge ? "hint" : "hidden"} id="prompt-hint">{tooLong ? t.tooLong : t.sendHint}</span>
        {!tooLong && !isLarge && <span class="grow" />}
        {isBusy && onStop
          ? <button type="button" class="send" aria-label={t.stop} title={t.stop} onClick={onStop}><Icon name="stop" /></button>
          : <button type="submit" class="send" aria-label={t.send} title={t.send} aria-disabled={!maySend}><Icon name="send" /></button>}
      </div>
    </form>
  );
}
