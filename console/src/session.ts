// Who is signed in, as the API sees them.

import { computed, effect, signal } from "@preact/signals";
import { ApiError, get, json } from "./api/client.ts";
import { credential, keep } from "./api/credential.ts";
import type { Me } from "./api/types.ts";
import { texts } from "./texts.ts";

export type Session =
  | { state: "loading" }
  | { state: "user"; me: Me }
  /** Who runs this service, and is nobody's user. */
  | { state: "operator" }
  | { state: "nobody"; note?: string }
  | { state: "unreachable"; error: ApiError };

export const session = signal<Session>({ state: "loading" });
export const me = computed(() => (session.value.state === "user" ? session.value.me : undefined));
export const mayOperate = computed(() => session.value.state === "operator" || me.value?.isStaff === true);

/** Asks who is calling. Also what is left of today's limits. */
export async function refresh(): Promise<void> {
  const asked = credential.peek();
  const found = await whoIs();
  if (asked !== credential.peek()) return;
  session.value = found;
}

async function whoIs(): Promise<Session> {
  try {
    return { state: "user", me: await get<Me>("/auth/me") };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 403 && credential.peek()) return { state: "operator" };
    if (error.status !== 401) return { state: "unreachable", error };
    const had = credential.peek() !== undefined;
    if (had) keep(undefined);
    return had ? { state: "nobody", note: texts.signIn.refused } : { state: "nobody" };
  }
}

effect(() => {
  // Also when another tab signs in or out.
  credential.value;
  void refresh();
});

export async function signInWith(secret: string): Promise<void> {
  session.value = { state: "loading" };
  keep(secret.trim());
}

export async function signOut(): Promise<void> {
  // A key stays good until it is revoked; only sessions end.
  if (me.value?.credential === "session") await json("POST", "/auth/logout").catch(() => {});
  session.value = { state: "loading" };
  keep(undefined);
}

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
  await signInWith(token);
}
