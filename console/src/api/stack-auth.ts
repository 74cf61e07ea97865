// Signing in by Stack Auth: by its mails, and by the pages of its providers.
// This page asks nobody but its own server; to a provider it goes by itself.

import { leaveWith } from "../return.ts";
import { get, json } from "./client.ts";

export interface StackAuth {
  email: boolean;
  providers: string[];
  authorizeUrl: string;
  clientId: string;
  clientKey: string;
}

export interface Methods {
  wallet: boolean;
  stackAuth: StackAuth | null;
}

export const methods = (signal: AbortSignal): Promise<Methods> => get<Methods>("/auth/methods", signal);

const tokenOf = async (path: string, body: object): Promise<string> => (await json<{ token: string }>("POST", path, { body })).token;

export const sendCode = async (email: string): Promise<string> => (await json<{ nonce: string }>("POST", "/auth/stack/codes", { body: { email } })).nonce;
/** The session of whoever has the code of a mail; without a nonce, that of its link. */
export const signInByCode = (code: string, nonce?: string): Promise<string> => tokenOf("/auth/stack/sign-in", { code, ...(nonce && { nonce }) });
export const signInByReturn = (code: string, codeVerifier: string): Promise<string> => tokenOf("/auth/stack/exchange", { code, codeVerifier, redirectUrl: here() });

/** Where providers come back to. */
const here = (): string => `${location.origin}/`;

const base64url = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const random = (): string => base64url(crypto.getRandomValues(new Uint8Array(32)));

/** Leaves for a provider's page (RFC 6749, 4.1.1; RFC 7636). */
export async function goToProvider({ authorizeUrl, clientId, clientKey }: StackAuth, provider: string): Promise<void> {
  const [state, verifier] = [random(), random()];
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)));
  leaveWith(state, verifier);
  const query = new URLSearchParams({
    client_id: clientId, client_secret: clientKey, redirect_uri: here(), scope: "legacy", state, grant_type: "authorization_code",
    code_challenge: base64url(hash), code_challenge_method: "S256", response_type: "code", type: "authenticate", error_redirect_url: here(),
  });
  location.assign(`${authorizeUrl}${encodeURIComponent(provider)}?${query}`);
}
