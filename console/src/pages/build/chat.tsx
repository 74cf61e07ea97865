// The conversation of a project.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { list } from "../../api/client.ts";
import type { Message, Picture, Version } from "../../api/types.ts";
import { texts } from "../../texts.ts";
import { Button, Dialog, Failure, Loading, say as notify, wordsOf } from "../../ui/parts.tsx";
import { Composer } from "./composer.tsx";
import { chatModel } from "./model.tsx";
import { LiveTurn, MessageView } from "./message.tsx";
import type { Workspace } from "./workspace.ts";

const t = texts.build;

export function Chat({ of }: { of: Workspace }) {
  const messages = of.messages.value;
  const live = of.live.value;
  const failed = of.failed.value;
  const [edited, setEdited] = useState<Message>();
  const scroller = useRef<HTMLDivElement>(null);
  const [isAtEnd, setIsAtEnd] = useState(true);

  // What comes is followed, unless one has scrolled up to read.
  useEffect(() => {
    const box = scroller.current;
    if (box && isAtEnd) box.scrollTop = box.scrollHeight;
  }, [messages, live, failed, isAtEnd]);

  const say = useCallback((question: string, images: Picture[]) => {
    setIsAtEnd(true);
    void of.say(question, chatModel.value(), images);
  }, [of]);
  const onAgain = useCallback((message: Message) => say(message.content, message.images ?? []), [say]);

  return (
    <section class="chat" aria-label={t.conversation}>
      <div class="chat-scroll" ref={scroller} tabIndex={0} aria-label={t.conversation} role="log" aria-live="off"
        onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => setIsAtEnd(scrollHeight - scrollTop - clientHeight < 60)}>
        {!of.isLoaded.value && !live && <Loading />}
        {of.isLoaded.value && messages.length === 0 && !live && !failed && (
          <div class="chat-empty"><p>{t.noMessages}</p></div>
        )}
        {messages.map((message, at) => (
          <MessageView key={message.id} project={of.id} message={message} question={messages[at - 1]} isLast={at === messages.length - 1 && !live}
            note={of.notes.value[message.id]} onEdit={setEdited} onAgain={onAgain} />
        ))}
        {live && <LiveTurn live={live} />}
        {failed && !live && (
          <Failure error={failed.error}>
            <Button icon="again" onClick={() => say(failed.question, failed.images)}>{t.sendAgain}</Button>
            <Button icon="edit" onClick={() => { of.draft.value = failed.question; of.pictures.value = failed.images; of.failed.value = undefined; document.getElementById("prompt")?.focus(); }}>{t.editFirst}</Button>
          </Failure>
        )}
      </div>
      <p class="hidden" role="status">{live ? t.states[live.state] : of.isLoaded.value && messages.length > 0 ? t.answered : ""}</p>
      {!isAtEnd && <Button class="to-end" icon="back" onClick={() => setIsAtEnd(true)}>{t.toEnd}</Button>}
      <Composer draft={of.draft} pictures={of.pictures} model={chatModel} placeholder={messages.length > 0 || live ? t.changePrompt : t.prompt} isBusy={live !== undefined} onSend={say} onStop={() => void of.stop().catch((error: unknown) => notify(wordsOf(error), "error"))} />
      {edited && <EditAndResend of={of} message={edited} onClose={() => setEdited(undefined)} onSend={say} />}
    </section>
  );
}

/** Sends a message once more in other words; if one likes, from the code that there was before it. */
function EditAndResend({ of, message, onClose, onSend }: { of: Workspace; message: Message; onClose: () => void; onSend: (question: string, images: Picture[]) => void }) {
  const [text, setText] = useState(message.content);
  const [before, setBefore] = useState<number>();
  const [fromBefore, setFromBefore] = useState(false);
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);

  useEffect(() => {
    void versionBefore(of.id, message.createdAt).then(setBefore, setError);
  }, []);

  async function send() {
    setBusy(true);
    try {
      if (fromBefore && before !== undefined) await of.rollBack(before);
      onClose();
      onSend(text.trim(), message.images ?? []);
    } catch (error) {
      setError(error);
      setBusy(false);
    }
  }

  const isOlder = before !== undefined && before !== of.project.value?.version;
  return (
    <Dialog title={t.editAndResend} onClose={onClose}>
      <div class="field">
        <label for="edited">{t.message}</label>
        <textarea id="edited" rows={5} dir="auto" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </div>
      {isOlder && (
        <label class="check">
          <input type="checkbox" checked={fromBefore} onChange={(event) => setFromBefore(event.currentTarget.checked)} />
          <span>{t.fromVersion(before)}</span>
        </label>
      )}
      {error !== undefined && <Failure error={error} />}
      <div class="row end">
        <Button onClick={onClose}>{texts.cancel}</Button>
        <Button look="primary" icon="send" busy={busy} disabled={text.trim() === ""} onClick={send}>{t.resend}</Button>
      </div>
    </Dialog>
  );
}

/** The newest version that is older than a moment. */
async function versionBefore(id: string, moment: string): Promise<number | undefined> {
  for (let next: string | undefined = `/api/projects/${id}/versions?limit=100`; next; ) {
    const page: { items: Version[]; next: string | undefined } = await list<Version>(next);
    const found = page.items.find(({ createdAt }) => createdAt < moment);
    if (found) return found.version;
    next = page.next;
  }
  return undefined;
}

