// The box in which one says what to build.

import type { Signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Picture } from "../../api/types.ts";
import { texts } from "../../texts.ts";
import { Icon } from "../../ui/icon.tsx";
import { Button } from "../../ui/parts.tsx";
import { ModelPicker, type ModelChoice } from "./model.tsx";
import { Pictures, take } from "./pictures.tsx";

const t = texts.build;

export const LONGEST = 32_000;

export function Composer({ draft, pictures, model, placeholder, isBusy, isLarge = false, hint, onSend, onStop }: {
  draft: Signal<string>; pictures?: Signal<Picture[]>; model: ModelChoice; placeholder: string; isBusy: boolean; isLarge?: boolean;
  /** Said in the place of which keys send it. */
  hint?: string | undefined;
  onSend: (message: string, images: Picture[]) => void; onStop?: () => void;
}) {
  const box = useRef<HTMLTextAreaElement>(null);
  const file = useRef<HTMLInputElement>(null);
  const [isOver, setIsOver] = useState(false);
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
    const images = pictures?.value ?? [];
    draft.value = "";
    if (pictures) pictures.value = [];
    onSend(text.trim(), images);
  }

  return (
    <form class={`composer ${isLarge ? "large" : ""} ${isOver ? "over" : ""}`} onSubmit={(event) => { event.preventDefault(); send(); }}
      onDragOver={(event) => { if (pictures && event.dataTransfer?.types.includes("Files")) { event.preventDefault(); setIsOver(true); } }}
      onDragLeave={() => setIsOver(false)}
      onDrop={(event) => { if (!pictures) return; event.preventDefault(); setIsOver(false); void take(event.dataTransfer?.files ?? [], pictures); }}>
      {pictures && <Pictures of={pictures.value} onRemove={(at) => (pictures.value = pictures.value.filter((_, each) => each !== at))} />}
      <label class="hidden" for="prompt">{placeholder}</label>
      <textarea id="prompt" ref={box} rows={isLarge ? 3 : 1} dir="auto" value={text} placeholder={placeholder} aria-describedby="prompt-hint"
        onInput={(event) => (draft.value = event.currentTarget.value)}
        onPaste={(event) => {
          const files = [...(event.clipboardData?.files ?? [])];
          if (!pictures || files.length === 0) return;
          event.preventDefault();
          void take(files, pictures);
        }}
        onKeyDown={(event) => {
          // While an input method composes a word, Enter is its own.
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          send();
        }} />
      <div class="composer-foot">
        {pictures && <><Button look="quiet" icon="picture" aria-label={t.addPicture} title={t.addPicture} onClick={() => file.current?.click()} />
        <input ref={file} type="file" accept="image/*" multiple hidden aria-label={t.addPicture}
          onChange={({ currentTarget }) => { void take([...(currentTarget.files ?? [])], pictures).then(() => (currentTarget.value = "")); }} /></>}
        <ModelPicker of={model} />
        <span class={tooLong ? "hint bad" : hint || isLarge ? `hint ${hint ? "grow" : ""}` : "hidden"} id="prompt-hint">{tooLong ? t.tooLong : (hint ?? t.sendHint)}</span>
        {!tooLong && !isLarge && !hint && <span class="grow" />}
        {isBusy && onStop
          ? <button type="button" class="send" aria-label={t.stop} title={t.stop} onClick={onStop}><Icon name="stop" /></button>
          : <button type="submit" class="send" aria-label={t.send} title={t.send} aria-disabled={!maySend}><Icon name="send" /></button>}
      </div>
    </form>
  );
}
