// Keys that the keyboards of phones lack. Shown where the pointer is a finger.
import { make } from "./dom.ts";

interface TouchKey {
  readonly label: string;
  readonly title: string;
  /** For a terminal. */
  readonly text: string;
  /** For a PC's keyboard, by KeyboardEvent.code. */
  readonly code: string;
}

const KEYS: readonly TouchKey[] = [
  { label: "Esc", title: "Escape", text: "\x1b", code: "Escape" },
  { label: "Tab", title: "Tab", text: "\t", code: "Tab" },
  { label: "←", title: "Left", text: "\x1b[D", code: "ArrowLeft" },
  { label: "↓", title: "Down", text: "\x1b[B", code: "ArrowDown" },
  { label: "↑", title: "Up", text: "\x1b[A", code: "ArrowUp" },
  { label: "→", title: "Right", text: "\x1b[C", code: "ArrowRight" },
  { label: "^C", title: "Control C", text: "\x03", code: "" },
  { label: "^D", title: "Control D", text: "\x04", code: "" },
  { label: "|", title: "Bar", text: "|", code: "" },
  { label: "/", title: "Slash", text: "/", code: "" },
  { label: "~", title: "Tilde", text: "~", code: "" },
];

export class TouchKeys {
  readonly element: HTMLElement;

  /** `press` says whether it took the key; otherwise `type` gets its text. */
  constructor(type: (text: string) => void, press: (code: string) => boolean) {
    this.element = make(
      "div",
      { class: "touch-keys", role: "group", "aria-label": "Keys" },
      ...KEYS.map(({ label, title, text, code }) => {
        const button = make("button", { type: "button", "aria-label": title }, label);
        // The keyboard stays where it is.
        button.addEventListener("pointerdown", (event) => event.preventDefault());
        button.addEventListener("click", () => {
          if (code === "" || !press(code)) type(text);
        });
        return button;
      }),
    );
  }
}
