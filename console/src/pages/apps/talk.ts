// The conversation with the agent about one app: what was said, and what is
// told while it works. It goes on while one looks at another page, and after
// the connection broke off.

import { batch, signal } from "@preact/signals";
import { ApiError, ask, get, list } from "../../api/client.ts";
import { eventsOf, follow, pause, type ServerEvent } from "../../api/events.ts";
import type { AppMessage, AppNotice, MessageLimit } from "../../api/types.ts";
import { texts } from "../../texts.ts";
import { agentModel } from "../build/model.tsx";
import { workspaceOf } from "../build/workspace.ts";

/** Who comes back after a lost connection asks so often before giving up. */
const ATTEMPTS = 10;

interface Told {
  appId: string;
  message?: { kind: string; messages: { content: string }[] };
  metadata?: AppNotice | null;
}

export class Talk {
  readonly messages = signal<AppMessage[]>([]);
  /** What is being asked, until the agent has ended. */
  readonly running = signal<string | undefined>(undefined);
  readonly isConnected = signal(true);
  readonly isLoaded = signal(false);
  readonly error = signal<unknown>(undefined);
  readonly draft = signal("");
  readonly limit = signal<MessageLimit | undefined>(undefined);
  private leaving: AbortController | undefined;

  /** Without an id: an app that the first message is to begin. */
  constructor(public id: string | undefined) {}

  async load(): Promise<void> {
    void this.loadLimit();
    if (this.running.peek() !== undefined || !this.id) return;
    this.error.value = undefined;
    try {
      const messages: AppMessage[] = [];
      for (let next: string | undefined = `/apps/${this.id}/history?limit=100`; next; ) {
        const page: { items: AppMessage[]; next: string | undefined } = await list<AppMessage>(next);
        messages.push(...page.items);
        next = page.next;
      }
      batch(() => {
        this.messages.value = messages;
        this.isLoaded.value = true;
      });
      const app = await get<{ recompileInProgress: boolean }>(`/apps/${this.id}`);
      if (app.recompileInProgress) await this.follow(messages.findLast(({ kind }) => kind === "user")?.prompt ?? "");
    } catch (error) {
      this.error.value = error;
    }
  }

  private async loadLimit(): Promise<void> {
    this.limit.value = await get<MessageLimit>("/message-limit").catch(() => undefined);
  }

  /** Sends a message; resolves with the app's id once there is one. */
  say(question: string): Promise<string> {
    return new Promise((resolve, reject) => void this.run(question, resolve, reject));
  }

  private async run(question: string, resolve: (id: string) => void, reject: (error: unknown) => void): Promise<void> {
    if (this.running.peek() !== undefined) return reject(new Error(texts.apps.busy));
    const { signal } = (this.leaving = new AbortController());
    const before = this.messages.peek();
    batch(() => {
      this.error.value = undefined;
      this.running.value = question;
      this.messages.value = [...before, { id: "", kind: "user", messageKind: "UserMessage", prompt: question, metadata: null, createdAt: new Date().toISOString() }];
    });
    try {
      const ended = await this.begin(question, signal, resolve);
      if (!ended) await this.follow(question);
    } catch (error) {
      batch(() => {
        // What was refused was not said.
        if (this.messages.peek().length === before.length + 1) this.messages.value = before;
        if (!signal.aborted) this.error.value = error;
        if (!this.draft.peek()) this.draft.value = question;
      });
      reject(error);
    }
    await this.end();
  }

  /** Posts the message, again if no answer comes, and takes the answer; tells whether it came to its end. */
  private async begin(question: string, signal: AbortSignal, resolve: (id: string) => void): Promise<boolean> {
    const key = crypto.randomUUID(), model = agentModel.value();
    const body = { message: question, clientSource: "web", ...(this.id && { applicationId: this.id }), ...(model && { model }) };
    for (let attempt = 0; ; attempt += 1) {
      try {
        const response = await ask("POST", "/message", { body, signal, headers: { "idempotency-key": key } });
        this.isConnected.value = true;
        if (response.body) {
          for await (const event of eventsOf(response.body)) {
            this.take(event);
            if (this.id) resolve(this.id);
            if (event.event === "done") return true;
          }
        }
        if (this.id && this.messages.peek().at(-1)?.kind === "assistant") return false;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ApiError) || error.status !== 0 || attempt + 1 >= ATTEMPTS) throw error;
      }
      if (attempt + 1 >= ATTEMPTS) throw new ApiError(0, "broken_off", texts.brokenOften);
      this.isConnected.value = false;
      await pause(attempt, signal);
    }
  }

  /** What is told after what is known, to the end of the turn. */
  private async follow(question: string): Promise<void> {
    this.leaving ??= new AbortController();
    this.running.value = question;
    const after = this.messages.peek().findLast(({ id }) => id !== "")?.id ?? "";
    await follow(`/apps/${this.id}/events`, this.leaving.signal, (event) => this.take(event), (isConnected) => (this.isConnected.value = isConnected), { after, isLast: ({ event }) => event === "done" });
    await this.end();
  }

  private take({ event, id, data }: ServerEvent): void {
    const told = JSON.parse(data) as Told;
    this.id ??= told.appId;
    if (event !== "message" || !told.message || this.messages.peek().some((known) => known.id === id)) return;
    const prompt = told.message.messages.map(({ content }) => content).join("\n");
    const said: AppMessage = { id, kind: "assistant", messageKind: told.message.kind, prompt, metadata: told.metadata ?? null, createdAt: new Date().toISOString() };
    this.messages.value = [...this.messages.peek(), said];
    // A version was saved, or it went live.
    if (said.messageKind !== "WipUpdate") void workspaceOf(told.appId).loadProject().catch(() => {});
  }

  private async end(): Promise<void> {
    batch(() => {
      this.running.value = undefined;
      this.isConnected.value = true;
      this.isLoaded.value = true;
    });
    this.leaving = undefined;
    void this.loadLimit();
    if (this.id) await workspaceOf(this.id).loadProject().catch(() => {});
  }

  /** Ends the turn; what was made until now is kept as a version, which the stream tells. */
  async stop(): Promise<void> {
    if (this.id) await ask("POST", `/apps/${this.id}/stop`);
  }
}

const talks = new Map<string, Talk>();

export function talkOf(id: string): Talk {
  const known = talks.get(id) ?? new Talk(id);
  talks.set(id, known);
  return known;
}

/** Begins an app with its first message; resolves with its id. */
export async function begin(question: string): Promise<string> {
  const talk = new Talk(undefined);
  const id = await talk.say(question);
  talks.set(id, talk);
  return id;
}
