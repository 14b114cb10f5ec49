// One guest on the page: what it is doing, its verbs, its terminal and screen, its figures.
import type { ExitStatus, HostedVm, VmState } from "../src/index.ts";
import { download, errorText, make } from "./dom.ts";
import { Figures } from "./figures.ts";
import { GuestScreen } from "./guest-screen.ts";
import { fileNameOf, keep } from "./kept.ts";
import { GuestTerminal } from "./terminal.ts";
import { TouchKeys } from "./touch-keys.ts";

const FIGURES_MS = 500;

export interface PanelOptions {
  /** Verbs and figures, not the terminal alone. */
  readonly controls: boolean;
  /** The guest has printed for the first time. */
  onPrinted?(): void;
  /** Saved in the browser: the list of those has one more. */
  onKept?(): void;
  onClosed?(): void;
}

export class GuestPanel {
  readonly element: HTMLElement;
  readonly #terminal: GuestTerminal;
  readonly #screen: GuestScreen | undefined;
  readonly #figures: Figures;
  readonly #badge = make("span", { class: "badge state" });
  readonly #message = make("p", { class: "message", role: "status", hidden: true });
  readonly #run = make("button", { type: "button", class: "primary" });
  readonly #reset = make("button", { type: "button" }, "Reset");
  readonly #stop = make("button", { type: "button" }, "Stop");
  readonly #saving = make("details", { class: "menu" });
  readonly #subscriptions: Disposable[] = [];
  readonly #timer: ReturnType<typeof setInterval>;
  #tab: "terminal" | "screen" = "terminal";
  #printed = false;

  constructor(
    readonly vm: HostedVm,
    private readonly options: PanelOptions,
  ) {
    const { config } = vm;
    this.#terminal = new GuestTerminal({
      onInput: (text) => vm.serial().write(text),
      onRelease: () => this.#run.focus(),
    });
    const display = config.display ?? (config.boot.kind === "firmware" ? "vga" : "none");
    if (display !== "none") this.#screen = new GuestScreen(vm, () => this.#run.focus());
    this.#figures = new Figures(vm.memoryBytes);
    this.element = this.#build();
    this.#subscriptions.push(
      vm.on("serial", ({ port, bytes }) => this.#print(port, bytes)),
      vm.on("state", ({ state }) => this.#showState(state)),
      vm.on("exit", (status) => this.#tell(exitText(status), status.kind === "crashed")),
      vm.on("reset", () => this.#tell("The guest was reset.")),
    );
    this.#timer = setInterval(() => void this.#measure(), FIGURES_MS);
    this.#showState(vm.state);
  }

  /** Once its element is on the page. */
  open(): void {
    void this.act(() => this.#terminal.open());
    this.#showTab(this.#screen !== undefined && this.vm.config.boot.kind === "firmware" ? "screen" : "terminal");
  }

  focus(): void {
    if (this.#tab === "screen") this.#screen?.focus();
    else this.#terminal.focus();
  }

  applyTheme(): void {
    void this.#terminal.applyTheme();
  }

  /** Carries a verb out; what goes wrong is told in the panel. */
  async act(verb: () => Promise<unknown>): Promise<void> {
    try {
      await verb();
    } catch (error) {
      this.#tell(errorText(error), true);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]();
    await this.vm.destroy();
    this.#screen?.dispose();
    this.#terminal.dispose();
    this.element.remove();
    this.options.onClosed?.();
  }

  // ---- inside

  #build(): HTMLElement {
    const { vm } = this;
    const title = make("h2", {}, vm.name);
    this.#run.addEventListener("click", () => void this.act(() => this.#toggle()));
    this.#reset.addEventListener("click", () => void this.act(() => vm.reset()));
    this.#stop.addEventListener("click", () => void this.act(() => vm.stop({ force: true })));
    const body = make("div", { class: "guest-body" }, this.#terminal.element);
    if (this.#screen !== undefined) body.append(this.#screen.element);
    const panel = make("article", { class: "guest", "aria-label": `Guest ${vm.name}` });
    if (this.options.controls) {
      panel.append(
        make(
          "header",
          { class: "guest-bar" },
          title,
          this.#badge,
          make("span", { class: "spring" }),
          ...(this.#screen === undefined ? [] : [this.#tabs()]),
          this.#run,
          this.#reset,
          this.#stop,
          this.#savingMenu(),
          make("button", { type: "button", onclick: () => void this.#paste() }, "Paste"),
          make(
            "button",
            { type: "button", class: "quiet", "aria-label": `Close ${vm.name}`, onclick: () => void this.close() },
            "✕",
          ),
        ),
      );
    }
    panel.append(
      this.#message,
      body,
      new TouchKeys(
        (text) => this.#typed(text),
        (code) => this.#pressed(code),
      ).element,
    );
    if (this.options.controls) panel.append(this.#figures.element);
    return panel;
  }

  #tabs(): HTMLElement {
    const button = (tab: "terminal" | "screen", text: string): HTMLElement =>
      make(
        "button",
        { type: "button", class: "tab", "data-tab": tab, "aria-pressed": "false", onclick: () => this.#showTab(tab) },
        text,
      );
    return make(
      "span",
      { class: "tabs", role: "group", "aria-label": "What is shown" },
      button("terminal", "Terminal"),
      button("screen", "Screen"),
    );
  }

  #showTab(tab: "terminal" | "screen"): void {
    this.#tab = tab;
    this.#terminal.element.hidden = tab !== "terminal";
    if (this.#screen !== undefined) {
      this.#screen.element.hidden = tab !== "screen";
      if (tab === "screen") this.#screen.show();
      else this.#screen.hide();
    }
    for (const button of this.element.querySelectorAll<HTMLElement>("[data-tab]"))
      button.setAttribute("aria-pressed", String(button.dataset["tab"] === tab));
    this.#terminal.fit();
    this.focus();
  }

  #savingMenu(): HTMLElement {
    const choose = (work: () => Promise<void>) => () => {
      this.#saving.open = false;
      void this.act(work);
    };
    this.#saving.append(
      make("summary", {}, "Save"),
      make(
        "div",
        { class: "menu-body" },
        make("button", { type: "button", onclick: choose(() => this.#keep()) }, "Keep in this browser"),
        make("button", { type: "button", onclick: choose(() => this.#download()) }, "Download"),
      ),
    );
    this.#saving.addEventListener("focusout", ({ relatedTarget }) => {
      if (!this.#saving.contains(relatedTarget as Node | null)) this.#saving.open = false;
    });
    this.#saving.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      this.#saving.open = false;
      this.#saving.querySelector("summary")?.focus();
    });
    return this.#saving;
  }

  async #keep(): Promise<void> {
    await keep(this.vm);
    this.#tell("Saved in this browser; it is in the list under New guest.");
    this.options.onKept?.();
  }

  async #download(): Promise<void> {
    const bytes = await this.vm.snapshotBytes();
    download(bytes as Uint8Array<ArrayBuffer>, fileNameOf(this.vm));
    this.#tell("Saved as a file; drop it on this page to go on from there.");
  }

  async #toggle(): Promise<void> {
    const { vm } = this;
    if (vm.state === "running") {
      await vm.pause();
      return;
    }
    if (vm.state === "paused") await vm.resume();
    else {
      if (vm.state !== "created") this.#terminal.clear();
      this.#tell("");
      await vm.start();
    }
    this.focus();
  }

  async #paste(): Promise<void> {
    let text: string;
    try {
      text = await navigator.clipboard.readText();
    } catch {
      this.#tell("The browser does not let this page read the clipboard; paste with its own keys (Ctrl-Shift-V).");
      return;
    }
    if (this.#tab === "screen") this.#screen?.paste(text);
    else this.#terminal.paste(text);
    this.focus();
  }

  #typed(text: string): void {
    if (this.#tab === "screen") this.#screen?.paste(text);
    else this.vm.serial().write(text);
  }

  /** A key of the bar below a phone's screen, for the guest's PC. */
  #pressed(code: string): boolean {
    if (this.#tab !== "screen") return false;
    void this.act(async () => {
      await this.vm.press(code);
      await this.vm.release(code);
    });
    return true;
  }

  #print(port: number, bytes: Uint8Array): void {
    if (port !== 0) return;
    if (!this.#printed) {
      this.#printed = true;
      // What bench/web.ts waits for.
      performance.mark("paravane-first-byte");
      this.options.onPrinted?.();
    }
    this.#terminal.write(bytes);
  }

  #showState(state: VmState): void {
    this.element.dataset["state"] = state;
    this.#badge.textContent = state;
    this.#run.textContent = state === "running" ? "Pause" : state === "paused" ? "Resume" : "Start";
    const alive = state === "running" || state === "paused";
    this.#reset.disabled = !alive;
    this.#stop.disabled = !alive;
    this.#saving.toggleAttribute("data-disabled", !alive && state !== "created");
  }

  #tell(text: string, wrong = false): void {
    // A guest may reset itself thousands of times a second.
    if (this.#message.textContent === text) return;
    this.#message.textContent = text;
    this.#message.hidden = text === "";
    this.#message.classList.toggle("wrong", wrong);
  }

  async #measure(): Promise<void> {
    if (!this.options.controls || document.hidden || this.vm.state !== "running") return;
    try {
      this.#figures.update(await this.vm.statistics());
    } catch {
      // It ended just now.
    }
  }
}

function exitText(status: ExitStatus): string {
  switch (status.kind) {
    case "guest-exit":
      return `The guest ended with code ${status.code}.`;
    case "power-off":
      return "The guest switched itself off.";
    case "reset":
      return `The guest asked for a reset (${status.cause}).`;
    case "triple-fault":
      return `The guest failed: triple fault at ${status.cs.toString(16)}:${status.eip.toString(16)}.`;
    case "timeout":
      return "The guest's time is up.";
    case "killed":
      return "The guest was stopped.";
    case "crashed":
      return status.error.message;
  }
}
