// Dark or light: the system's, until one is chosen.

import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
const NAME = "hatch.theme";
const isTheme = (name: string | null): name is Theme => name === "light" || name === "dark" || name === "system";

function stored(): Theme {
  try {
    const name = localStorage.getItem(NAME);
    return isTheme(name) ? name : "system";
  } catch {
    return "system";
  }
}

export const theme = signal<Theme>(stored());

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
  try {
    localStorage.setItem(NAME, theme.value);
  } catch {
    // Then it is chosen for as long as the page is open.
  }
});

export const isDark = (): boolean =>
  theme.value === "dark" || (theme.value === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
