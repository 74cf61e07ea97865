// A project as it is worked on: its conversation, its code, and the answer
// that is being written. It lives on while one looks at another page.

import { batch, computed, signal } from "@preact/signals";
import { answer, type Saved } from "../../api/chat.ts";
import { ask, list } from "../../api/client.ts";
import type { FileMark, Message, Project } from "../../api/types.ts";
import { refresh } from "../../session.ts";
import { texts } from "../../texts.ts";

export type Code = Record<string, string>;

export interface Live {
  question: string;
  text: string;
  state: "asking" | "writing" | "reconnecting" | "saving";
  startedAt: number;
}

export interface TurnResult {
  files: FileMark[];
  version: number | undefined;
  saved: Saved | undefined;
}

/** How often the answer on the screen grows, at most. */
const FRAME_MS = 80;
const POLL_MS = 2_000;

export class Workspace {
  readonly project = signal<Project | undefined>(undefined);
  readonly messages = signal<Message[]>([]);
  readonly live = signal<Live | undefined>(undefined);
  /** Why the last turn failed, with its question. */
  readonly failed = signal<{ question: string; error: unknown } | undefined>(undefined);
  readonly error = signal<unknown>(undefined);
  readonly isLoaded = signal(false);
  /** What is in the box, kept while one looks at something else. */
  readonly draft = signal("");
  /** What each answer of this session did, by its message's id. */
  readonly results = signal<Record<string, TurnResult>>({});
  /** The code of the versions that this page has seen, to compare. */
  readonly seen = signal<Record<number, Code>>({});
  /** Changes of the editor that are not saved. */
  readonly edits = signal<Code>({});
  /** Grows when the code is another one: the preview loads anew. */
  readonly revision = signal(0);
  readonly code = computed<Code>(() => parse(this.project.value?.code));
  private etag: string | null = null;
  /** Of the code that the editor's changes were begun with. */
  private editedEtag: string | null = null;
  private stopping: AbortController | undefined;
  private loading: Promise<void> | undefined;

  constructor(readonly id: string) {}

  load(): Promise<void> {
    if (this.isBeginning()) return Promise.resolve();
    this.loading ??= this.loadAll().finally(() => (this.loading = undefined));
    return this.loading;
  }

  /** Whether the first message is on its way, or was refused: the API knows no such project yet. */
  private isBeginning(): boolean {
    return this.project.peek() === undefined && (this.live.peek() ?? this.failed.peek()) !== undefined;
  }

  private async loadAll(): Promise<void> {
    this.error.value = undefined;
    try {
      const [, messages] = await Promise.all([this.loadProject(), this.loadMessages()]);
      this.messages.value = this.live.peek() ? before(this.live.peek()?.question, messages) : messages;
      this.isLoaded.value = true;
      const last = messages.at(-1);
      if (last?.status === "streaming" && !this.live.value) void this.resume(messages);
    } catch (error) {
      this.error.value = error;
    }
  }

  async loadProject(): Promise<void> {
    const response = await ask("GET", `/api/projects/${encodeURIComponent(this.id)}`);
    this.took((await response.json()) as Project, response);
  }

  /** Takes a project as the API has just told it. */
  took(project: Project, response?: Response): void {
    const hasChanged = project.version !== this.project.peek()?.version;
    batch(() => {
      this.etag = response?.headers.get("etag") ?? null;
      this.project.value = project;
      this.seen.value = { ...this.seen.peek(), [project.version]: parse(project.code) };
      if (hasChanged) this.revision.value += 1;
    });
  }

  private async loadMessages(): Promise<Message[]> {
    const messages: Message[] = [];
    for (let next: string | undefined = `/api/chat/${encodeURIComponent(this.id)}?limit=100`; next; ) {
      const page: { items: Message[]; next: string | undefined } = await list<Message>(next);
      messages.push(...page.items);
      next = page.next;
    }
    return messages;
  }

  /** Sends a message, and takes the answer as it comes. */
  async say(question: string, model: string | undefined): Promise<void> {
    await this.follow({ question, model, key: crypto.randomUUID() });
  }

  /** An answer that was being written when the page was loaded anew, here or in another tab. */
  private async resume(messages: Message[]): Promise<void> {
    const question = messages.at(-2)?.content ?? "";
    const known = kept(this.id);
    if (known?.question === question) return this.follow(known);
    this.live.value = { question, text: messages.at(-1)?.content ?? "", state: "writing", startedAt: Date.now() };
    while (this.live.peek()) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      const now = await this.loadMessages().catch(() => undefined);
      const last = now?.at(-1);
      if (now && last?.status !== "streaming") {
        await this.loadProject().catch(() => {});
        batch(() => {
          this.messages.value = now;
          this.live.value = undefined;
        });
      } else if (last && this.live.peek()) {
        this.live.value = { question, text: last.content, state: "writing", startedAt: this.live.peek()?.startedAt ?? Date.now() };
      }
    }
  }

  private async follow({ question, model, key }: Kept): Promise<void> {
    if (this.stopping) return;
    const { signal } = (this.stopping = new AbortController());
    keep(this.id, { question, model, key });
    const live: Live = { question, text: "", state: "asking", startedAt: Date.now() };
    const result: TurnResult = { files: [], version: undefined, saved: undefined };
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = () => {
      timer = undefined;
      this.live.value = { ...live };
    };
    batch(() => {
      this.failed.value = undefined;
      this.live.value = { ...live };
      this.messages.value = before(question, this.messages.peek());
    });
    try {
      const asked = model ? { projectId: this.id, message: question, model, key } : { projectId: this.id, message: question, key };
      for await (const piece of answer(asked, signal)) {
        if (piece.kind === "restart") Object.assign(live, { text: "", state: "asking" });
        if (piece.kind === "connecting") live.state = "reconnecting";
        if (piece.kind === "text" && live.text === "" && this.isBeginning()) void this.loadProject().catch(() => {});
        if (piece.kind === "text") Object.assign(live, { text: live.text + piece.text, state: "writing" });
        if (piece.kind === "files") Object.assign(result, { files: piece.files, version: piece.version });
        if (piece.kind === "saved") result.saved = piece.saved;
        if (piece.kind === "files" || piece.kind === "saved") live.state = "saving";
        timer ??= setTimeout(show, FRAME_MS);
      }
    } catch (error) {
      this.failed.value = { question, error: signal.aborted ? new Error(texts.build.stopped) : error };
    }
    clearTimeout(timer);
    this.stopping = undefined;
    forget(this.id);
    await this.settle(live, result);
    void refresh();
  }

  /** What is saved takes the place of what was streamed. */
  private async settle(live: Live, result: TurnResult): Promise<void> {
    // A first message that was refused has begun nothing.
    const isNothing = live.text === "" && this.project.peek() === undefined;
    const loaded = isNothing ? undefined : await Promise.all([this.loadMessages(), this.loadProject()]).catch(() => undefined);
    const messages = loaded?.[0] ?? [...this.messages.peek(), message("user", live.question), ...(live.text ? [message("assistant", live.text)] : [])];
    const id = result.saved?.messageId ?? (result.files.length > 0 ? messages.at(-1)?.id : undefined);
    batch(() => {
      this.messages.value = messages.filter(({ status, content }) => status !== "streaming" || content !== "");
      if (id) this.results.value = { ...this.results.peek(), [id]: result };
      this.live.value = undefined;
      this.isLoaded.value = true;
    });
  }

  /** Stops watching. The API finishes what it can, and saves it. */
  stop(): void {
    this.stopping?.abort();
  }

  async rename(name: string): Promise<void> {
    const response = await ask("PATCH", `/api/projects/${this.id}`, { body: { name } });
    this.took((await response.json()) as Project, response);
  }

  /** Takes what the editor has changed. */
  edit(path: string, content: string): void {
    if (Object.keys(this.edits.peek()).length === 0) this.editedEtag = this.etag;
    this.edits.value = { ...this.edits.peek(), [path]: content };
  }

  /** Saves the editor's changes as a new version, if the code is still the one that they were made to. */
  async save(code: Code, isForced = false): Promise<void> {
    const etag = Object.keys(this.edits.peek()).length > 0 ? this.editedEtag : this.etag;
    const headers: Record<string, string> = etag && !isForced ? { "if-match": etag } : {};
    const response = await ask("PATCH", `/api/projects/${this.id}`, { body: { code }, headers });
    const project = (await response.json()) as Project;
    batch(() => {
      // What was typed while it was being saved is not saved yet.
      this.edits.value = Object.fromEntries(Object.entries(this.edits.peek()).filter(([path, content]) => content !== code[path]));
      this.took(project, response);
      this.editedEtag = this.etag;
    });
  }

  async rollBack(version: number): Promise<void> {
    const response = await ask("POST", `/api/projects/${this.id}/rollback`, { body: { version } });
    this.took((await response.json()) as Project, response);
  }

  async delete(isForced: boolean): Promise<void> {
    await ask("DELETE", `/api/projects/${this.id}${isForced ? "?force=true" : ""}`);
    workspaces.delete(this.id);
  }
}

const workspaces = new Map<string, Workspace>();

export function workspaceOf(id: string): Workspace {
  const known = workspaces.get(id) ?? new Workspace(id);
  workspaces.set(id, known);
  return known;
}

/** Begins a project with its first message: a UUID of one's own that is nobody's is a new project. */
export function begin(question: string, model: string | undefined): string {
  const id = crypto.randomUUID();
  void workspaceOf(id).say(question, model);
  return id;
}

function parse(code: string | null | undefined): Code {
  if (!code) return {};
  const read: unknown = JSON.parse(code);
  return typeof read === "object" && read !== null ? (read as Code) : {};
}

/** The conversation before a turn that is under way, which is shown by itself. */
function before(question: string | undefined, messages: Message[]): Message[] {
  const at = messages.findLastIndex(({ role, content }) => role === "user" && content === question);
  const isUnderWay = at >= 0 && messages.slice(at + 1).every(({ status }) => status === "streaming");
  return isUnderWay ? messages.slice(0, at) : messages;
}

function message(role: Message["role"], content: string): Message {
  return { id: crypto.randomUUID(), role, content, status: role === "user" ? "complete" : "interrupted", model: null, usage: null, createdAt: new Date().toISOString() };
}

/** A turn that is under way, kept so that a page that is loaded anew finds it again. */
interface Kept {
  question: string;
  model: string | undefined;
  key: string;
}

const nameOf = (id: string): string => `hatch.turn.${id}`;

function keep(id: string, turn: Kept): void {
  try {
    localStorage.setItem(nameOf(id), JSON.stringify(turn));
  } catch {
    // Then a reload waits for the answer without watching it come.
  }
}

function kept(id: string): Kept | undefined {
  try {
    const text = localStorage.getItem(nameOf(id));
    return text ? (JSON.parse(text) as Kept) : undefined;
  } catch {
    return undefined;
  }
}

function forget(id: string): void {
  try {
    localStorage.removeItem(nameOf(id));
  } catch {
    // There was nothing to forget.
  }
}
