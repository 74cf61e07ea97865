// What was said with the agent, and what it does.

import { useEffect, useRef, useState } from "preact/hooks";
import type { AppMessage } from "../../api/types.ts";
import { texts } from "../../texts.ts";
import { Icon, type IconName } from "../../ui/icon.tsx";
import { Button, Failure, Loading, say, Spinner, Time, wordsOf } from "../../ui/parts.tsx";
import { Composer } from "../build/composer.tsx";
import { agentModel } from "../build/model.tsx";
import { Answer } from "../build/message.tsx";
import type { Talk } from "./talk.ts";

const t = texts.apps;

/** What the agent does on its way is folded together; the rest is said. */
type Part = { kind: "steps"; steps: AppMessage[] } | { kind: "said"; said: AppMessage };

function partsOf(messages: AppMessage[]): Part[] {
  const parts: Part[] = [];
  const live = new Set(messages.filter(({ metadata }) => metadata?.type === "deployment_complete").map(({ metadata }) => metadata?.deploymentId));
  for (const message of messages) {
    // That it goes live is no news once it is.
    if (message.metadata?.type === "deployment_in_progress" && live.has(message.metadata.deploymentId)) continue;
    const last = parts.at(-1);
    if (message.messageKind !== "WipUpdate") parts.push({ kind: "said", said: message });
    else if (last?.kind === "steps") last.steps.push(message);
    else parts.push({ kind: "steps", steps: [message] });
  }
  return parts;
}

export function Conversation({ of }: { of: Talk }) {
  const messages = of.messages.value;
  const running = of.running.value;
  const limit = of.limit.value;
  const scroller = useRef<HTMLDivElement>(null);
  const [isAtEnd, setIsAtEnd] = useState(true);
  const parts = partsOf(messages);
  const last = messages.at(-1);
  const isAsked = last?.messageKind === "RefinementRequest" && running === undefined;

  useEffect(() => {
    void of.load();
  }, [of]);
  useEffect(() => {
    const box = scroller.current;
    if (box && isAtEnd) box.scrollTop = box.scrollHeight;
  }, [messages, running, isAtEnd]);

  const send = (question: string) => {
    setIsAtEnd(true);
    // Why it was refused is shown in the conversation.
    void of.say(question).catch(() => {});
  };
  const error = of.error.value;
  return (
    <section class="chat" aria-label={texts.build.conversation}>
      <div class="chat-scroll" ref={scroller} tabIndex={0} aria-label={texts.build.conversation} role="log" aria-live="off"
        onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => setIsAtEnd(scrollHeight - scrollTop - clientHeight < 60)}>
        {!of.isLoaded.value && running === undefined && error === undefined && <Loading />}
        {parts.map((part, at) => part.kind === "steps"
          ? <Steps key={`steps-${part.steps[0]?.id}`} steps={part.steps} isOpen={running !== undefined && at === parts.length - 1} />
          : <Said key={part.said.id || `said-${at}`} message={part.said} onAgain={running === undefined && part.said === last ? () => send(messages.findLast(({ kind }) => kind === "user")?.prompt ?? "") : undefined} />)}
        {running !== undefined && <p class="note soft" role="status"><Spinner /> {of.isConnected.value ? t.atWork : t.reconnecting}</p>}
        {error !== undefined && <Failure error={error} {...(of.isLoaded.value ? {} : { retry: () => void of.load() })} />}
      </div>
      <p class="hidden" role="status">{running === undefined && last?.kind === "assistant" ? t.ended : ""}</p>
      {!isAtEnd && <Button class="to-end" icon="back" onClick={() => setIsAtEnd(true)}>{texts.build.toEnd}</Button>}
      <Composer draft={of.draft} model={agentModel} placeholder={isAsked ? t.answerPrompt : texts.build.changePrompt} isBusy={running !== undefined} hint={limit && t.left(limit.remainingMessages, limit.dailyMessageLimit)} onSend={send}
        onStop={() => void of.stop().catch((error: unknown) => say(wordsOf(error), "error"))} />
    </section>
  );
}

function Steps({ steps, isOpen }: { steps: AppMessage[]; isOpen: boolean }) {
  const [isShown, setIsShown] = useState(isOpen);
  useEffect(() => setIsShown(isOpen), [isOpen]);
  return (
    <details class="agent-steps" open={isShown} onToggle={({ currentTarget }) => setIsShown(currentTarget.open)}>
      <summary><Icon name="chevron" size={14} /> {isOpen ? <Spinner /> : <Icon name="check" size={16} />} {t.steps(steps.length)}</summary>
      <ol class="plain">
        {steps.map(({ id, prompt }) => <li key={id} dir="auto">{prompt}</li>)}
      </ol>
    </details>
  );
}

const LOOKS: Record<string, { icon: IconName; tone: string }> = {
  RefinementRequest: { icon: "chat", tone: "asks" },
  RuntimeError: { icon: "warning", tone: "bad" },
  PlatformMessage: { icon: "rocket", tone: "notice" },
};

function Said({ message, onAgain }: { message: AppMessage; onAgain: (() => void) | undefined }) {
  const { kind, messageKind, prompt, metadata, createdAt } = message;
  if (kind === "user") return <article class="message question" aria-label={texts.build.you}><div class="bubble" dir="auto">{prompt}</div></article>;
  const look = LOOKS[messageKind];
  const link = webAddress(metadata?.type === "deployment_complete" ? metadata.deploymentUrl : metadata?.githubUrl);
  return (
    <article class={`message reply ${look ? `agent-${look.tone}` : ""}`} aria-label={t.kinds[messageKind as keyof typeof t.kinds] ?? texts.build.hatch}>
      {look && <Icon name={look.icon} />}
      <div class="grow">
        {messageKind === "RefinementRequest" && <p class="asks-head">{t.kinds.RefinementRequest}</p>}
        <Answer text={prompt} files={[]} />
        {link && <p><a class="button plain" href={link} target="_blank" rel="noopener noreferrer"><Icon name="open" /> <span>{metadata?.type === "deployment_complete" ? t.openApp : t.openRepository}</span></a></p>}
        {messageKind === "RuntimeError" && onAgain && <p><Button icon="again" onClick={onAgain}>{texts.tryAgain}</Button></p>}
        {messageKind !== "PlatformMessage" && <p class="soft small"><Time of={createdAt} /></p>}
      </div>
    </article>
  );
}

/** Only what is of the web becomes a link. */
function webAddress(url: string | undefined): string | undefined {
  return url && /^https?:\/\//i.test(url) ? url : undefined;
}
