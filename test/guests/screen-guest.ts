// A guest that is watched through its screen.
import type { Vm } from "../../src/index.ts";

export class ScreenGuest implements AsyncDisposable {
  #changed = (): void => {};

  /** Starts it. */
  constructor(readonly vm: Vm) {
    vm.on("screen", () => this.#changed());
    void vm.exited.then(() => this.#changed());
    vm.start();
  }

  /** The lines of the text screen; empty while it shows a picture. */
  get text(): string {
    const screen = this.vm.screen();
    return screen.kind === "text" ? screen.lines().join("\n") : "";
  }

  /** Waits until a line, or all of them joined, match; throws with the screen when the machine ends before. */
  async shows(pattern: RegExp): Promise<void> {
    const matches = (): boolean => this.text.split("\n").some((line) => pattern.test(line)) || pattern.test(this.text);
    while (!matches()) {
      if (this.vm.state === "stopped" || this.vm.state === "crashed")
        throw new Error(`the machine ended before its screen showed ${pattern}; it showed:\n${this.text}`);
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.vm[Symbol.asyncDispose]();
  }
}
