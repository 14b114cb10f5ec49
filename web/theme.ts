// Light or dark: the visitor's system says, until the visitor does.

type Theme = "light" | "dark";
const KEY = "paravane-theme";

export function applyTheme(theme: Theme): void {
  document.documentElement.dataset["theme"] = theme;
}

export function currentTheme(): Theme {
  const chosen = document.documentElement.dataset["theme"];
  if (chosen === "light" || chosen === "dark") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** What was chosen before, or what the address says ("light", "dark"). */
export function startTheme(asked: string | null): void {
  const theme = asked ?? read();
  if (theme === "light" || theme === "dark") applyTheme(theme);
}

export function chooseTheme(theme: Theme): void {
  applyTheme(theme);
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // A frame without an origin keeps nothing.
  }
}

function read(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}
