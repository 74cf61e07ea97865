// The first message, until it is sent: also while one goes to sign in, and to
// another page for that.

import { signal } from "@preact/signals";
import type { Picture } from "../../api/types.ts";

const NAME = "hatch.first";

/** What was kept, once. */
function taken(): string {
  try {
    const kept = sessionStorage.getItem(NAME) ?? "";
    sessionStorage.removeItem(NAME);
    return kept;
  } catch {
    return "";
  }
}

export const draft = signal(taken());
export const pictures = signal<Picture[]>([]);

/** Keeps the words for when one comes back to this tab. */
export function keepOver(): void {
  if (draft.value) sessionStorage.setItem(NAME, draft.value);
}
