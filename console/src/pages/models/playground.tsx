// A model to talk with: its messages, its parameters, its tools, and the
// request as a program would send it.

import { signal } from "@preact/signals";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { askModel, type ChatMessage, type ChatRequest, type ModelAnswer } from "../../api/gateway.ts";
import { get } from "../../api/client.ts";
import type { GatewayModel } from "../../api/types.ts";
import { count } from "../../format.ts";
import { texts } from "../../texts.ts";
import { Icon } from "../../ui/icon.tsx";
import { useLoad } from "../../ui/load.tsx";
import { Button, Choice, Failure, Field, Snippet, Spinner, Tag } from "../../ui/parts.tsx";
import { Answer } from "../build/message.tsx";
import { CODES, codeOf, type CodeKind } from "./code.ts";

const t = texts.models;

interface Settings {
  model: string;
  system: string;
  temperature: string;
  most: string;
  tools: string;
  stream: boolean;
}

/** Kept while one looks at another page. */
const settings = signal<Settings>({ model: "", system: "", temperature: "", most: "", tools: "", stream: true });
const messages = signal<ChatMessage[]>([]);
const draft = signal("");

const TOOL = `[{
  "type": "function",
  "function": {
    "name": "weather",
    "description": "Tells the weather of a city",
    "parameters": { "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] }
  }
}]`;

/** The request as it is sent; an error in words for tools that are no JSON. */
function requestOf({ model, system, temperature, most, tools, stream }: Settings, said: ChatMessage[]): ChatRequest {
  return {
    model,
    messages: [...(system.trim() ? [{ role: "system" as const, content: system.trim() }] : []), ...said],
    ...(stream && { stream: true, stream_options: { include_usage: true } }),
    ...(temperature.trim() && { temperature: Number(temperature) }),
    ...(most.trim() && { max_completion_tokens: Number(most) }),
    ...(tools.trim() && { tools: JSON.parse(tools) as unknown }),
  };
}

function wrongTools(tools: string): string | undefined {
  if (!tools.trim()) return undefined;
  try {
    return Array.isArray(JSON.parse(tools)) ? undefined : t.toolsNoList;
  } catch (error) {
    return t.toolsNoJson((error as Error).message);
  }
}

export function Playground() {
  const models = useLoad((signal) => get<{ data: GatewayModel[] }>("/v1/models", signal), "models");
  const [answer, setAnswer] = useState<ModelAnswer>();
  const [last, setLast] = useState<ModelAnswer>();
  const [error, setError] = useState<unknown>();
  const stopping = useRef<AbortController | undefined>(undefined);
  const chosen = settings.value;
  const wrong = wrongTools(chosen.tools);
  const isBusy = answer !== undefined;

  useEffect(() => () => stopping.current?.abort(), []);
  useEffect(() => {
    const [first] = models.value?.data ?? [];
    if (!settings.peek().model && first) settings.value = { ...settings.peek(), model: first.id };
  }, [models.value]);

  async function ask(said: ChatMessage[]) {
    if (wrong || isBusy) return;
    const { signal } = (stopping.current = new AbortController());
    let newest: ModelAnswer | undefined;
    messages.value = said;
    setError(undefined);
    setAnswer({ text: "", reasoning: "", calls: [], finish: undefined, usage: undefined, provider: "", model: "", attempts: "", warnings: "", firstWordMs: undefined, totalMs: 0 });
    try {
      await askModel(requestOf(settings.peek(), said), signal, (answer) => {
        newest = answer;
        setAnswer(answer);
      });
    } catch (error) {
      if (!signal.aborted) setError(error);
    }
    // What had come of an answer that broke off stays to be read.
    if (newest && (newest.text || newest.calls.length > 0)) {
      messages.value = [...said, { role: "assistant", content: newest.text, ...(newest.calls.length > 0 && { tool_calls: newest.calls }) }];
    }
    setLast(newest);
    setAnswer(undefined);
  }

  function send() {
    const words = draft.value.trim();
    if (!words || isBusy || wrong) return;
    draft.value = "";
    void ask([...messages.value, { role: "user", content: words }]);
  }

  const pending = pendingCalls(messages.value);
  return (
    <div class="playground">
      <SettingsForm models={models.value?.data ?? []} wrong={wrong} />
      <section class="card talk" aria-label={t.conversation}>
        <div class="talk-messages" tabIndex={0} role="log" aria-live="off" aria-label={t.conversation}>
          {messages.value.length === 0 && !isBusy && <p class="soft talk-empty">{t.empty}</p>}
          {messages.value.map((message, at) => (
            <MessageRow key={at} message={message} isBusy={isBusy} onRemove={() => (messages.value = messages.value.filter((_, each) => each !== at))}
              onAgain={message.role === "user" ? () => void ask(messages.value.slice(0, at + 1)) : undefined} />
          ))}
          {pending.map(({ id, function: { name } }) => <ToolResult key={id} name={name} onResult={(content) => (messages.value = [...messages.value, { role: "tool", tool_call_id: id, content }])} />)}
          {answer && <div class="talk-row"><Role role="assistant" />{answer.reasoning && <Reasoning text={answer.reasoning} />}<Answer text={answer.text} files={[]} isWriting /><Calls calls={answer.calls} /><p class="note soft"><Spinner /> {texts.build.states.writing}</p></div>}
          {error !== undefined && <Failure error={error} />}
        </div>
        <p class="hidden" role="status">{isBusy ? texts.build.states.writing : last ? texts.build.answered : ""}</p>
        {last && !isBusy && <Facts answer={last} />}
        <form class="talk-foot" onSubmit={(event) => { event.preventDefault(); send(); }}>
          <label class="hidden" for="playground">{t.message}</label>
          <textarea id="playground" rows={2} dir="auto" placeholder={t.message} value={draft.value} onInput={(event) => (draft.value = event.currentTarget.value)}
            onKeyDown={(event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); } }} />
          <div class="row">
            {messages.value.length > 0 && !isBusy && <Button look="quiet" icon="trash" onClick={() => { messages.value = []; setLast(undefined); setError(undefined); }}>{t.clear}</Button>}
            <span class="grow" />
            {pending.length === 0 && messages.value.at(-1)?.role === "tool" && !isBusy && <Button icon="send" onClick={() => void ask(messages.value)}>{t.goOn}</Button>}
            {isBusy
              ? <Button icon="stop" onClick={() => stopping.current?.abort()}>{texts.build.stop}</Button>
              : <Button type="submit" look="primary" icon="send" disabled={!draft.value.trim() || wrong !== undefined}>{texts.build.send}</Button>}
          </div>
        </form>
      </section>
      {wrong === undefined && <RequestCode request={requestOf(chosen, messages.value.length > 0 ? messages.value : [{ role: "user", content: draft.value || t.hello }])} />}
    </div>
  );
}

/** The calls of the last answer that have no result yet. */
function pendingCalls(said: ChatMessage[]) {
  const at = said.findLastIndex(({ tool_calls }) => tool_calls);
  const answered = new Set(said.slice(at + 1).map(({ tool_call_id }) => tool_call_id));
  return at < 0 || said.slice(at + 1).some(({ role }) => role !== "tool") ? [] : (said[at]?.tool_calls ?? []).filter(({ id }) => !answered.has(id));
}

function SettingsForm({ models, wrong }: { models: GatewayModel[]; wrong: string | undefined }) {
  const id = useId();
  const { model, system, temperature, most, tools, stream } = settings.value;
  const set = (change: Partial<Settings>) => (settings.value = { ...settings.value, ...change });
  const named = models.filter(({ id }) => id !== "auto");
  return (
    <section class="card pad play-settings" aria-label={t.settings}>
      <div class="field">
        <label for={`${id}-model`}>{t.model}</label>
        <input id={`${id}-model`} list={`${id}-models`} value={model} spellcheck={false} autocomplete="off" aria-describedby={`${id}-model-hint`} onInput={(event) => set({ model: event.currentTarget.value })} />
        <datalist id={`${id}-models`}><option value="auto">{t.auto}</option>{named.map(({ id, display_name }) => <option key={id} value={id}>{display_name ?? id}</option>)}</datalist>
        <p class="hint" id={`${id}-model-hint`}>{t.modelHint(named.length)}</p>
      </div>
      <div class="field">
        <label for={`${id}-system`}>{t.system}</label>
        <textarea id={`${id}-system`} rows={3} dir="auto" value={system} placeholder={t.systemExample} onInput={(event) => set({ system: event.currentTarget.value })} />
      </div>
      <div class="columns even">
        <Field label={t.temperature} type="number" min={0} max={2} step={0.1} value={temperature} placeholder={t.default} onInput={(event) => set({ temperature: event.currentTarget.value })} />
        <Field label={t.most} type="number" min={1} value={most} placeholder={t.default} onInput={(event) => set({ most: event.currentTarget.value })} />
      </div>
      <label class="check"><input type="checkbox" checked={stream} onChange={(event) => set({ stream: event.currentTarget.checked })} /><span>{t.stream}</span></label>
      <details open={tools !== ""}>
        <summary>{t.tools}</summary>
        <div class="field">
          <label class="hidden" for={`${id}-tools`}>{t.tools}</label>
          <textarea id={`${id}-tools`} class="code-field" rows={8} spellcheck={false} value={tools} placeholder="[]" aria-invalid={wrong !== undefined} aria-describedby={`${id}-wrong`} onInput={(event) => set({ tools: event.currentTarget.value })} />
          <p class={wrong ? "hint bad" : "hint"} id={`${id}-wrong`}>{wrong ?? t.toolsHint}</p>
          {!tools && <p><Button onClick={() => set({ tools: TOOL })}>{t.exampleTool}</Button></p>}
        </div>
      </details>
    </section>
  );
}

function Role({ role }: { role: ChatMessage["role"] }) {
  return <span class="talk-role">{t.roles[role]}</span>;
}

function MessageRow({ message, isBusy, onRemove, onAgain }: { message: ChatMessage; isBusy: boolean; onRemove: () => void; onAgain: (() => void) | undefined }) {
  const { role, content, tool_calls: calls } = message;
  return (
    <article class={`talk-row ${role}`} aria-label={t.roles[role]}>
      <div class="row spread"><Role role={role} />
        {!isBusy && <span class="row">
          {onAgain && <Button look="quiet" icon="again" aria-label={t.askAgain} title={t.askAgain} onClick={onAgain} />}
          <Button look="quiet" icon="close" aria-label={t.remove} title={t.remove} onClick={onRemove} />
        </span>}
      </div>
      {role === "assistant" ? <Answer text={content} files={[]} /> : <p class="words" dir="auto">{content}</p>}
      <Calls calls={calls ?? []} />
    </article>
  );
}

function Reasoning({ text }: { text: string }) {
  return <details><summary class="soft">{t.reasoning}</summary><p class="words soft" dir="auto">{text}</p></details>;
}

function Calls({ calls }: { calls: NonNullable<ChatMessage["tool_calls"]> }) {
  if (calls.length === 0) return null;
  return (
    <ul class="plain calls">
      {calls.map(({ id, function: { name, arguments: given } }) => <li key={id}><Icon name="code" size={15} /> <code><bdi>{name}</bdi>({given})</code></li>)}
    </ul>
  );
}

function ToolResult({ name, onResult }: { name: string; onResult: (content: string) => void }) {
  const [text, setText] = useState("");
  return (
    <form class="talk-row row" onSubmit={(event) => { event.preventDefault(); if (text.trim()) onResult(text.trim()); }}>
      <Field class="grow" label={t.resultOf(name)} value={text} onInput={(event) => setText(event.currentTarget.value)} />
      <Button type="submit" disabled={!text.trim()}>{t.giveResult}</Button>
    </form>
  );
}

function Facts({ answer: { provider, model, attempts, warnings, usage, firstWordMs, totalMs, finish } }: { answer: ModelAnswer }) {
  return (
    <ul class="facts plain talk-facts" aria-label={t.facts}>
      {model && <li><bdi>{model.includes("/") ? model : `${provider}/${model}`}</bdi></li>}
      {usage && <li>{texts.build.tokensOf(usage.prompt_tokens, usage.completion_tokens)}</li>}
      {firstWordMs !== undefined && <li>{t.firstWord(count(Math.round(firstWordMs)))}</li>}
      <li>{t.inAll(count(Math.round(totalMs)))}</li>
      {finish && finish !== "stop" && <li>{t.finish} <code>{finish}</code></li>}
      {Number(attempts) > 1 && <li>{t.attempts(Number(attempts))}</li>}
      {warnings && <li><Tag tone="warn">{warnings}</Tag></li>}
    </ul>
  );
}

function RequestCode({ request }: { request: ChatRequest }) {
  const [kind, setKind] = useState<CodeKind>("curl");
  return (
    <section class="request-code" aria-labelledby="request-code">
      <div class="row spread"><h2 id="request-code">{t.request}</h2>
        <Choice label={t.as} isHidden value={kind} onChange={setKind} options={CODES.map((name) => [name, t.codes[name]] as const)} />
      </div>
      <Snippet text={codeOf(kind, request, location.origin)} label={t.codes[kind]} />
    </section>
  );
}
