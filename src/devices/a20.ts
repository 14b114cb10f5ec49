// The A20 gate. Port 92h and the keyboard controller both drive it, and as on chipsets since the 440FX the one written
// last decides. After a reset the line is enabled, as firmware leaves it: no boot path of ours starts with it closed.

export class A20Gate {
  #enabled = true;

  /** `apply` is told of every change of the line. */
  constructor(private readonly apply: (enabled: boolean) => void) {}

  get enabled(): boolean {
    return this.#enabled;
  }

  set(enabled: boolean): void {
    if (enabled === this.#enabled) return;
    this.#enabled = enabled;
    this.apply(enabled);
  }

  reset(): void {
    this.set(true);
  }
}
