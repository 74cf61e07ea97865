// The credential of whoever is signed in, kept for this browser. It is of the
// console's own origin, where no app and no model's answer ever runs.

import { signal } from "@preact/signals";

const NAME = "hatch.credential";

function stored(): string | undefined {
  try {
    return localStorage.getItem(NAME) ?? undefined;
  } catch {
    return undefined;
  }
}

export const credential = signal(stored());

/** How often the API has refused it. */
export const refusals = signal(0);

export function keep(secret: string | undefined): void {
  credential.value = secret;
  try {
    if (secret) localStorage.setItem(NAME, secret);
    else localStorage.removeItem(NAME);
  } catch {
    // Without storage one is signed in for as long as the page is open.
  }
}

// Signing in or out in one tab does so in the others.
addEventListener("storage", (event) => {
  if (event.key === NAME || event.key === null) credential.value = stored();
});
