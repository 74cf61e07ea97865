// `.env` files, by the rules of dotenv and Vite.

import { parse } from "dotenv";
import { expand } from "dotenv-expand";

/** The later ones win (https://vite.dev/guide/env-and-mode#env-files). */
const PATHS = [".env", ".env.local", ".env.production", ".env.production.local"];
/** What gets to the browser; other variables stay where they are. */
const PREFIXES = /^(VITE_|REACT_APP_)/;

/** What the project's `.env` files give to the browser. */
export function browserEnv(files) {
  const parsed = Object.assign({}, ...PATHS.map((path) => parse((files.get(path) ?? "").replace(/^\uFEFF/, ""))));
  expand({ parsed, processEnv: {} });
  return Object.fromEntries(Object.entries(parsed).filter(([name]) => PREFIXES.test(name)));
}

/** What `import.meta.env` holds beside them and BASE_URL. */
export const VITE = { MODE: "production", PROD: true, DEV: false, SSR: false };
