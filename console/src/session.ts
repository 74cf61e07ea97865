// Who is signed in, as the API sees them.

import { batch, computed, effect, signal } from "@preact/signals";
import { ApiError, get, json } from "./api/client.ts";
import { credential, keep, refusals } from "./api/credential.ts";
import type { Me } from "./api/types.ts";
import { texts } from "./texts.ts";

export type Session =
  | { state: "loading" }
  | { state: "user"; me: Me }
  /** Who runs this service, and is nobody's user. */
  | { state: "operator" }
  | { state: "nobody" }
  | { state: "unreachable"; error: ApiError };

export const session = signal<Session>({ state: "loading" });
export const me = computed(() => (session.value.state === "user" ? session.value.me : undefined));
export const mayOperate = computed(() => session.value.state === "operator" || me.value?.isStaff === true);

/** Whether the credential that this browser had is good no longer. */
export const refused = signal(false);

/** Asks who is calling. Also what is left of today's limits. */
export async function refresh(): Promise<void> {
  const asked = credential.peek();
  const found = await whoIs();
  if (asked !== credential.peek()) return;
  if (isAnother(found)) return forget();
  session.value = found;
}

async function whoIs(): Promise<Session> {
  const asked = credential.peek();
  try {
    return { state: "user", me: await get<Me>("/auth/me") };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 403 && asked) return { state: "operator" };
    if (error.status !== 401) return { state: "unreachable", error };
    // Without it one may be somebody still: the developer of this machine.
    if (asked !== undefined) refused.value = true;
    // Another tab may have dropped it, or signed in with another.
    if (credential.peek() === asked) keep(undefined);
    return { state: "nobody" };
  }
}

/** Who was here last, as long as the page is open. */
let last: string | undefined;

function isAnother(found: Session): boolean {
  const id = found.state === "user" ? found.me.id : found.state === "operator" ? "" : undefined;
  if (id === undefined) return false;
  const before = last;
  last = id;
  return before !== undefined && before !== id;
}

/** Ends the page and all that it remembers: what one has seen and typed is not for the next. */
function forget(address = "#/"): void {
  try {
    for (const name of Object.keys(localStorage)) if (/^hatch\.(turn\.|model$|agent-model$)/.test(name)) localStorage.removeItem(name);
    sessionStorage.clear();
  } catch {
    // Then there was nothing kept.
  }
  history.replaceState(null, "", address);
  location.reload();
}

effect(() => {
  // Also when another tab signs in or out. What is on the page waits until it is known whose it is.
  credential.value;
  session.value = { state: "loading" };
  void refresh();
});

effect(() => {
  // A session that has ended while the page was open.
  if (refusals.value > 0) void refresh();
});

export function signInWith(secret: string): void {
  batch(() => {
    refused.value = false;
    keep(secret.trim());
  });
}

export async function signOut(address?: string): Promise<void> {
  // A key stays good until it is revoked; only sessions end.
  if (me.value?.credential === "session") await json("POST", "/auth/logout").catch(() => {});
  keep(undefined);
  try {
    localStorage.setItem(LEFT, String(Date.now()));
  } catch {
    // Then there is no other tab that was signed in by this one.
  }
  forget(address);
}

/** When somebody has signed out, for the other tabs. */
const LEFT = "hatch.left";
addEventListener("storage", ({ key }) => {
  if (key === LEFT) forget();
});

interface Wallet {
  request(call: { method: string; params?: unknown[] }): Promise<unknown>;
}

export function wallet(): Wallet | undefined {
  return (globalThis as { ethereum?: Wallet }).ethereum;
}

/** Signs in by a wallet in the browser (EIP-1193), which signs what the API asks it to. */
export async function signInByWallet(): Promise<void> {
  const provider = wallet();
  if (!provider) throw new Error(texts.signIn.noWallet);
  const [address] = (await provider.request({ method: "eth_requestAccounts" })) as string[];
  if (!address) throw new Error(texts.signIn.noAccount);
  const chain = Number(await provider.request({ method: "eth_chainId" }));
  const challenge = await json<{ message: string }>("POST", "/auth/wallet/challenge", {
    body: Number.isSafeInteger(chain) && chain > 0 ? { address, chainId: chain } : { address },
  });
  const signature = await provider.request({ method: "personal_sign", params: [challenge.message, address] });
  const { token } = await json<{ token: string }>("POST", "/auth/wallet/verify", { body: { message: challenge.message, signature } });
  signInWith(token);
}
