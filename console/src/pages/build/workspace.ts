// A project as it is worked on: its conversation, its code, and the answer
// that is being written. It lives on while one looks at another page.

import { batch, computed, signal } from "@preact/signals";
import { answer } from "../../api/chat.ts";
import { ApiError, ask, get, list } from "../../api/client.ts";
import type { Message, Picture, Project } from "../../api/types.ts";
import { refresh } from "../../session.ts";
import { texts } from "../../texts.ts";

export type Code = Record<string, string>;

export interface Live {
  question: string;
  images: Picture[];
  text: string;
  state: "asking" | "writing" | "reconnecting" | "saving";
  startedAt: number;
}

/** How often the answer on the screen grows, at most. */
const FRAME_MS = 80;
const POLL_MS = 2_000;

export class Workspace {
  readonly project = signal<Project | undefined>(undefined);
  readonly messages = signal<Message[]>([]);
  readonly live = signal<Live | undefined>(undefined);
  /** Why the last turn failed, with its question. */
  readonly failed = signal<{ question: string; images: Picture[]; error: unknown } | undefined>(undefined);
  readonly error = signal<unknown>(undefined);
  readonly isLoaded = signal(false);
  /** What is in the box, kept while one looks at something else. */
  readonly draft = signal("");
  readonly pictures = signal<Picture[]>([]);
  /** Why another model answered than the one that was asked, by the answer's id. */
  readonly notes = signal<Record<string, string>>({});
  /** The code of the versions that this page has seen. */
  readonly seen = signal<Record<number, Code>>({});
  /** Changes of the editor that are not saved. */
  readonly edits = signal<Code>({});
  /** Grows when the code is another one: the preview loads anew. */
  readonly revision = signal(0);
  readonly code = computed<Code>(() => parse(this.project.value?.code));
  /** Who is asked to change the code, where it is not the chat. */
  ask: ((question: string) => void) | undefined;
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

  /** Loads the project alone, where its conversation is another one. */
  async open(): Promise<void> {
    this.error.value = undefined;
    try {
      await this.loadProject();
      this.isLoaded.value = true;
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

  /** Asks whoever writes the code: the chat, unless it is somebody else. */
  send(question: string, model: string | undefined): void {
    if (this.ask) this.ask(question);
    else void this.say(question, model);
  }

  /** Sends a message, and takes the answer as it comes. */
  async say(question: string, model: string | undefined, images: Picture[] = []): Promise<void> {
    await this.follow({ question, model, images, key: crypto.randomUUID() });
  }

  /** An answer that was being written when the page was loaded anew, here or in another tab. */
  private async resume(messages: Message[]): Promise<void> {
    const question = messages.at(-2)?.content ?? "", images = messages.at(-2)?.images ?? [];
    const known = kept(this.id);
    if (known?.question === question) return this.follow(known);
    this.live.value = { question, images, text: messages.at(-1)?.content ?? "", state: "writing", startedAt: Date.now() };
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
        this.live.value = { question, images, text: last.content, state: "writing", startedAt: this.live.peek()?.startedAt ?? Date.now() };
      }
    }
  }

  private async follow(turn: Kept): Promise<void> {
    if (this.stopping) return;
    const { signal } = (this.stopping = new AbortController());
    keep(this.id, turn);
    const { question, model, key, images } = turn;
    const live: Live = { question, images, text: "", state: "asking", startedAt: Date.now() };
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
      for await (const piece of answer({ projectId: this.id, message: question, model, images, key }, signal)) {
        if (piece.kind === "restart") Object.assign(live, { text: "", state: "asking" });
        if (piece.kind === "connecting") live.state = "reconnecting";
        if (piece.kind === "text" && live.text === "" && this.isBeginning()) void this.loadProject().catch(() => {});
        if (piece.kind === "text") Object.assign(live, { text: live.text + piece.text, state: "writing" });
        if (piece.kind === "saved" && piece.saved.note) this.notes.value = { ...this.notes.peek(), [piece.saved.messageId]: piece.saved.note };
        if (piece.kind === "files" || piece.kind === "saved") live.state = "saving";
        timer ??= setTimeout(show, FRAME_MS);
      }
    } catch (error) {
      this.failed.value = { question, images, error: signal.aborted ? new Error(texts.build.stopped) : error };
    }
    clearTimeout(timer);
    this.stopping = undefined;
    forget(this.id);
    await this.settle(live);
    void refresh();
  }

  /** What is saved takes the place of what was streamed. */
  private async settle(live: Live): Promise<void> {
    // A first message that was refused has begun nothing.
    const isNothing = live.text === "" && this.project.peek() === undefined;
    const loaded = isNothing ? undefined : await Promise.all([this.loadMessages(), this.loadProject()]).catch(() => undefined);
    const messages = loaded?.[0] ?? [...this.messages.peek(), message("user", live.question, live.images), ...(live.text ? [message("assistant", live.text)] : [])];
    batch(() => {
      this.messages.value = messages.filter(({ status, content }) => status !== "streaming" || content !== "");
      this.live.value = undefined;
      this.isLoaded.value = true;
    });
  }

  /** Stops the answer, here and at the model's. What had come is kept; nothing of it reaches the code. */
  async stop(): Promise<void> {
    try {
      await ask("POST", `/api/chat/${this.id}/stop`);
    } catch (error) {
      // The message has not arrived there, so nothing is answered.
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    } finally {
      this.stopping?.abort();
    }
  }

  /** The code of a version, however old. */
  async codeOf(version: number, signal?: AbortSignal): Promise<Code> {
    const known = this.seen.peek()[version];
    if (known) return known;
    const code = parse((await get<{ code: string }>(`/api/projects/${this.id}/versions/${version}`, signal)).code);
    this.seen.value = { ...this.seen.peek(), [version]: code };
    return code;
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
export function begin(question: string, model: string | undefined, images: Picture[]): string {
  const id = crypto.randomUUID();
  void workspaceOf(id).say(question, model, images);
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

function message(role: Message["role"], content: string, images: Picture[] | null = null): Message {
  const status = role === "user" ? "complete" : "interrupted";
  return { id: crypto.randomUUID(), role, content, images, status, model: null, usage: null, costMicroUsd: null, changes: null, createdAt: new Date().toISOString() };
}

/** A turn that is under way, kept so that a page that is loaded anew finds it again. */
interface Kept {
  question: string;
  model: string | undefined;
  images: Picture[];
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
