// Where one is: the fragment of the address, so that every page of the console
// can be linked, and the API keeps every path.

import { computed, signal } from "@preact/signals";

export interface Place {
  /** The parts of the path: `#/build/1f3a/code` is `["build", "1f3a", "code"]`. */
  parts: string[];
  query: URLSearchParams;
}

function parse(hash: string): Place {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  return { parts: path.split("/").filter(Boolean).map(decoded), query: new URLSearchParams(query) };
}

/** A part that is not well encoded stays as it is: it names nothing, which the page then says. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const hash = signal(location.hash);
addEventListener("hashchange", () => (hash.value = location.hash));

export const place = computed(() => parse(hash.value));

/** The address of a page. Parts are encoded; an empty value of the query is left out. */
export function to(parts: string[], query: Record<string, string> = {}): string {
  const filled = Object.entries(query).filter(([, value]) => value !== "");
  const search = filled.length > 0 ? `?${new URLSearchParams(filled)}` : "";
  return `#/${parts.map(encodeURIComponent).join("/")}${search}`;
}

/** The address of a view of a project, in the section of the console that one is in: an app of the agent's is a project too. */
export function view(id: string, parts: string[], query: Record<string, string> = {}): string {
  return to([place.value.parts[0] === "apps" ? "apps" : "build", id, ...parts], query);
}

export function go(address: string): void {
  location.hash = address;
}

/** Goes there in place of where one is: for what nobody wants to go back to. */
export function replace(address: string): void {
  history.replaceState(null, "", address);
  hash.value = address;
}

const WANTED = "hatch.wanted";

/** Goes to sign in, and after that on to where one wanted to be, by whatever page one signs in. */
export function signInFor(address: string): void {
  try {
    sessionStorage.setItem(WANTED, address);
  } catch {
    // Then one begins at the start.
  }
  go("#/sign-in");
}

/** Where one wanted to be before signing in, once. */
export function takeWanted(): string | undefined {
  try {
    const wanted = sessionStorage.getItem(WANTED) ?? undefined;
    sessionStorage.removeItem(WANTED);
    return wanted;
  } catch {
    return undefined;
  }
}
