// A message of the conversation: what was asked, or what was answered, with
// its files as cards.

import { memo } from "preact/compat";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { partsOf, type Part } from "../../answer.ts";
import type { FileMark, Message, Picture } from "../../api/types.ts";
import { brief, bytes, dollars } from "../../format.ts";
import { view } from "../../routes.ts";
import { texts } from "../../texts.ts";
import { Icon } from "../../ui/icon.tsx";
import { Button, Copy, Spinner, Tag, Time } from "../../ui/parts.tsx";
import { Pictures } from "./pictures.tsx";
import type { Live } from "./workspace.ts";

const t = texts.build;

/** Prose, put into the page as nodes: no markup is ever set as text. */
const Prose = memo(function Prose({ part }: { part: Extract<Part, { kind: "prose" }> }) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => box.current?.replaceChildren(part.fragment()), [part.key]);
  return <div class="prose" ref={box} />;
}, (before, after) => before.part.key === after.part.key);

const MARKS = { added: "good", changed: "busy", unchanged: "plain", incomplete: "warn", refused: "bad" } as const;

function FileCard({ part, mark, isWriting }: { part: Extract<Part, { kind: "file" }>; mark: FileMark | undefined; isWriting: boolean }) {
  return (
    <details class={`file-card ${isWriting ? "writing" : ""}`}>
      <summary>
        <Icon name="chevron" size={14} />
        {isWriting ? <Spinner /> : <Icon name="file" size={16} />}
        <bdi class="path">{part.path}</bdi>
        {isWriting && <span class="soft">{t.writing}</span>}
        {mark && <Tag tone={MARKS[mark.status]}>{t.marks[mark.status]}</Tag>}
        <span class="soft size">{bytes(mark?.bytes ?? new Blob([part.code]).size)}</span>
      </summary>
      <pre tabIndex={0} aria-label={part.path}><code>{part.code}</code></pre>
    </details>
  );
}

export function Answer({ text, files, isWriting = false }: { text: string; files: FileMark[]; isWriting?: boolean }) {
  const parts = useMemo(() => partsOf(text), [text]);
  const last = parts.length - 1;
  return (
    <div class="answer">
      {parts.map((part, at) => {
        if (part.kind === "prose") return <Prose key={at} part={part} />;
        if (part.kind === "code") {
          return <div key={at} class="snippet"><pre tabIndex={0} aria-label={part.language || t.code}><code>{part.code}</code></pre><Copy text={part.code} /></div>;
        }
        return <FileCard key={at} part={part} mark={files.find(({ path }) => path === part.path)} isWriting={isWriting && at === last && part.isOpen} />;
      })}
    </div>
  );
}

interface Turns {
  onEdit: (message: Message) => void;
  onAgain: (message: Message) => void;
}

export const MessageView = memo(function MessageView({ project, message, note, question, isLast, onEdit, onAgain }: {
  project: string; message: Message; note: string | undefined; question: Message | undefined; isLast: boolean;
} & Turns) {
  if (message.role === "user") {
    return (
      <article class="message question" aria-label={t.you}>
        <Bubble text={message.content} images={message.images ?? []} />
        <div class="message-tools">
          <Copy text={message.content} label={t.copyMessage} />
          <Button look="quiet" icon="edit" aria-label={t.editAndResend} title={t.editAndResend} onClick={() => onEdit(message)} />
        </div>
      </article>
    );
  }
  const { usage, changes, costMicroUsd } = message;
  return (
    <article class="message reply" aria-label={t.hatch}>
      <Answer text={message.content} files={changes?.files ?? []} />
      {message.status === "interrupted" && <p class="note warn"><Icon name="warning" size={16} /> {t.interrupted}</p>}
      {[...(note ? [note] : []), ...(changes?.notes ?? [])].map((words) => <p key={words} class="note soft" dir="auto">{words}</p>)}
      <footer class="message-foot">
        <span class="facts">
          {changes && changes.files.length > 0 && <VersionLink project={project} version={changes.version} />}
          {message.model && <span><bdi>{message.model}</bdi></span>}
          {usage && <span title={t.tokensOf(usage.input_tokens, usage.output_tokens)}>{t.tokens(brief(usage.input_tokens + usage.output_tokens))}</span>}
          {costMicroUsd !== null && <span>{dollars(costMicroUsd)}</span>}
          <Time of={message.createdAt} />
        </span>
        <span class="message-tools">
          <Copy text={message.content} label={t.copyMessage} />
          {isLast && question && <Button look="quiet" icon="again" aria-label={t.again} title={t.again} onClick={() => onAgain(question)} />}
        </span>
      </footer>
    </article>
  );
});

/** Leads to what an answer has changed. */
function VersionLink({ project, version }: { project: string; version: number }) {
  const versions = version > 1 ? [version - 1, version] : [version];
  return <a href={view(project, ["versions", ...versions.map(String)])} title={t.whatChanged}>{t.version(version)}</a>;
}

function Bubble({ text, images }: { text: string; images: Picture[] }) {
  return <div class="bubble" dir="auto"><Pictures of={images} />{text}</div>;
}

/** The turn that is under way. */
export function LiveTurn({ live }: { live: Live }) {
  return (
    <>
      <article class="message question" aria-label={t.you}><Bubble text={live.question} images={live.images} /></article>
      <article class="message reply" aria-label={t.hatch} aria-busy="true">
        <Answer text={live.text} files={[]} isWriting />
        <p class="note soft"><Spinner /> {t.states[live.state]}</p>
      </article>
    </>
  );
}
