// What the address had when the page was loaded, where somebody comes back
// from Stack Auth: a code that signs in. It is taken out of the address at
// once, so that it is in no history and is sent nowhere.

export type Return =
  /** From a provider's page, with what this browser kept for it. */
  | { kind: "provider"; code: string; verifier: string }
  /** By the link of a mail, which anybody may have sent. */
  | { kind: "mail"; code: string }
  | { kind: "failed"; reason: string };

const nameOf = (state: string): string => `hatch.oauth.${state}`;

/** Keeps what proves that it was this browser that left (RFC 7636), until it comes back. */
export function leaveWith(state: string, verifier: string): void {
  sessionStorage.setItem(nameOf(state), verifier);
}

function read(query: URLSearchParams): Return | undefined {
  const code = query.get("code"), state = query.get("state");
  const reason = query.get("errorCode") ?? query.get("error");
  if (reason) return { kind: "failed", reason: /^[\w-]{1,60}$/.test(reason) ? reason : "" };
  if (!code) return undefined;
  if (!state) return { kind: "mail", code };
  const verifier = sessionStorage.getItem(nameOf(state));
  sessionStorage.removeItem(nameOf(state));
  return verifier ? { kind: "provider", code, verifier } : { kind: "failed", reason: "state" };
}

function take(): Return | undefined {
  if (!location.search) return undefined;
  try {
    const found = read(new URLSearchParams(location.search));
    if (found) history.replaceState(null, "", "/#/sign-in");
    return found;
  } catch {
    return undefined;
  }
}

let came = take();

/** What one came back with, once. */
export function takeReturn(): Return | undefined {
  const once = came;
  came = undefined;
  return once;
}
