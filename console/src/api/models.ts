// The models that can be asked here, by the gateway's list in Anthropic's
// form, which has their names for people.

import { signal } from "@preact/signals";
import { ask } from "./client.ts";

export interface OfferedModel {
  /** `anthropic/claude-sonnet-5-5` */
  id: string;
  name: string;
  provider: string;
}

interface Listed {
  id: string;
  display_name: string;
  max_tokens: number | null;
}

/** Those that write; none until they are known, or where a key may not ask for them. */
export const offered = signal<OfferedModel[]>([]);
let isAsked = false;

/** Asks for them, once. */
export async function loadModels(): Promise<void> {
  if (isAsked) return;
  isAsked = true;
  try {
    const response = await ask("GET", "/v1/models", { headers: { "anthropic-version": "2023-06-01" } });
    const { data } = (await response.json()) as { data: Listed[] };
    offered.value = data.filter(({ max_tokens }) => max_tokens !== null)
      .map(({ id, display_name }) => ({ id, name: display_name, provider: id.includes("/") ? id.slice(0, id.indexOf("/")) : "" }));
  } catch {
    isAsked = false;
  }
}
