// `.env` files, by the rules of dotenv and Vite.

import { parse } from "dotenv";
import { expand } from "dotenv-expand";

/** The later ones win (https://vite.dev/guide/env-and-mode#env-files). */
const PATHS = [".env", ".env.local", ".env.production", ".env.production.local"];
/** Prefixes of variables that the browser gets; others are not published. */
const PREFIXES = /^(VITE_|REACT_APP_)/;

/** The variables in the project's `.env` files that the browser gets. */
export function browserEnv(files) {
  const parsed = Object.assign({}, ...PATHS.map((path) => parse((files.get(path) ?? "").replace(/^\uFEFF/, ""))));
  expand({ parsed, processEnv: {} });
  return Object.fromEntries(Object.entries(parsed).filter(([name]) => PREFIXES.test(name)));
}

/** Further members of `import.meta.env`, besides these variables and BASE_URL. */
export const VITE = { MODE: "production", PROD: true, DEV: false, SSR: false };
