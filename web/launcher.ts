// The form that says what the next guest is, and the guests that are kept in this browser.
import { cpuModelNames } from "../src/index.ts";
import type { Preset } from "./catalogue.ts";
import { byId, download, formatBytes, make } from "./dom.ts";
import { assemble, type DroppedFile, inspectFile, KIND_NAMES } from "./files.ts";
import {
  type MachineOptions,
  MODE_TEXTS,
  type NetworkChoice,
  type VirtualizationMode,
  type WhatBoots,
} from "./guest-request.ts";
import { type KeptSnapshot, keptFile, listKept, removeKept } from "./kept.ts";

const MIB = 2 ** 20;
const MEMORY_MIB = [4, 16, 32, 64, 128, 256, 512, 1024];
const DEFAULT_CPU = "max";
const OWN_FILES = "own files";

export interface LauncherOwner {
  start(what: WhatBoots, options: MachineOptions): Promise<void>;
  /** A file that was dropped, or one in the browser's private files. */
  restore(snapshot: { readonly file: File } | { readonly kept: string }, name: string): Promise<void>;
  tell(error: unknown): void;
}

export class Launcher {
  readonly #form = byId<HTMLFormElement>("form");
  readonly #panel = byId<HTMLDetailsElement>("launcher");
  readonly #start = byId<HTMLButtonElement>("start");
  readonly #progress = byId("progress");
  readonly #append = byId<HTMLInputElement>("append");
  readonly #memory = byId<HTMLSelectElement>("memory");
  readonly #cpu = byId<HTMLSelectElement>("cpu");
  readonly #screen = byId<HTMLInputElement>("screen");
  #presets: readonly Preset[] = [];
  #files: readonly DroppedFile[] = [];

  constructor(private readonly owner: LauncherOwner) {
    for (const mib of MEMORY_MIB) this.#memory.append(new Option(`${mib} MiB`, String(mib)));
    for (const name of cpuModelNames) this.#cpu.append(new Option(name));
    this.#cpu.value = DEFAULT_CPU;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#work(() => this.#launch());
    });
    this.#form.addEventListener("change", ({ target }) => {
      const { name } = target as HTMLInputElement;
      if (name === "preset") this.#showDefaults();
      if (name === "mode") this.#showMode();
    });
    this.#showMode();
    byId<HTMLInputElement>("files").addEventListener("change", (event) => {
      const input = event.target as HTMLInputElement;
      const files = [...(input.files ?? [])];
      input.value = "";
      void this.#work(() => this.#take(files));
    });
    this.#listenDrops();
  }

  get presets(): readonly Preset[] {
    return this.#presets;
  }

  /** What lies beside the page. */
  offer(presets: readonly Preset[]): void {
    this.#presets = presets;
    const legend = byId("presets").querySelector("legend") as HTMLElement;
    const bootable = presets.filter(({ kind }) => kind !== "firmware");
    const cards = (test: boolean): HTMLElement[] =>
      bootable.filter((preset) => preset.test === test).map(({ name, title }) => card(name, title));
    const tests = cards(true);
    byId("presets").replaceChildren(
      legend,
      ...cards(false),
      card(OWN_FILES, "Files of yours: kernel, initrd, CD, disk, BIOS, saved guest"),
      ...(tests.length === 0
        ? []
        : [
            make(
              "details",
              { class: "more" },
              make("summary", {}, `Programs that test the machine (${tests.length})`),
              make("div", { class: "presets" }, ...tests),
            ),
          ]),
    );
    this.#choose(presets.find(({ name }) => name === "hello")?.name ?? presets[0]?.name ?? OWN_FILES);
  }

  /** The server has a relay: guests may be on it. */
  offerRelay(): void {
    byId<HTMLSelectElement>("network").append(new Option("By this page's server", "relay"));
  }

  /** The list of guests in the browser's private files, as it is now. */
  async listKept(): Promise<void> {
    const kept = await listKept();
    byId("kept").hidden = kept.length === 0;
    byId("kept-list").replaceChildren(...kept.map((snapshot) => this.#keptRow(snapshot)));
  }

  // ---- inside

  #keptRow(snapshot: KeptSnapshot): HTMLElement {
    const { file, name, sizeBytes, createdAt, damage } = snapshot;
    const button = (text: string, work: () => Promise<void>, disabled = false): HTMLElement =>
      make(
        "button",
        { type: "button", disabled, "aria-label": `${text} ${name}`, onclick: () => void this.#work(work) },
        text,
      );
    return make(
      "li",
      {},
      make("b", {}, name),
      make("span", { class: "hint" }, `${formatBytes(sizeBytes)}, ${new Date(createdAt).toLocaleString()}`),
      ...(damage === undefined ? [] : [make("span", { class: "hint wrong" }, damage)]),
      make("span", { class: "spring" }),
      button("Restore", () => this.owner.restore({ kept: file }, name), damage !== undefined),
      button("Download", async () => download(await keptFile(file), file)),
      button("Delete", async () => {
        await removeKept(file);
        await this.listKept();
      }),
    );
  }

  async #launch(): Promise<void> {
    const data = new FormData(this.#form);
    const chosen = String(data.get("preset"));
    const append = this.#append.value;
    const options = {
      memoryBytes: Number(this.#memory.value) * MIB,
      cpu: this.#cpu.value,
      mode: data.get("mode") as VirtualizationMode,
      screen: this.#screen.checked,
      network: byId<HTMLSelectElement>("network").value as NetworkChoice,
    };
    if (chosen === OWN_FILES) {
      const snapshot = this.#files.find(({ kind }) => kind === "snapshot");
      if (snapshot !== undefined) {
        await this.owner.restore({ file: snapshot.file }, snapshot.file.name.replace(/\.\w+$/, ""));
      } else {
        const firmware = this.#presets.find(({ kind }) => kind === "firmware");
        const words = append === "" ? undefined : append;
        const made = await assemble(this.#files, words, options.mode === "para", firmware);
        await this.owner.start(made, options);
      }
      this.#setFiles([]);
      return;
    }
    const preset = this.#presets.find(({ name }) => name === chosen);
    if (preset === undefined) throw new Error("choose what boots");
    const boot = await preset.load(append);
    await this.owner.start({ name: preset.name, boot }, options);
  }

  /** One thing at a time; what goes wrong is told. */
  async #work(work: () => Promise<void>): Promise<void> {
    if (this.#start.disabled) return;
    this.#start.disabled = true;
    this.#progress.textContent = "Loading…";
    try {
      await work();
    } catch (error) {
      this.owner.tell(error);
    } finally {
      this.#start.disabled = false;
      this.#progress.textContent = "";
    }
  }

  async #take(files: readonly File[]): Promise<void> {
    const inspected: DroppedFile[] = [];
    for (const file of files) inspected.push(await inspectFile(file));
    this.#setFiles([...this.#files, ...inspected]);
    this.#choose(OWN_FILES);
    this.#panel.open = true;
  }

  #setFiles(files: readonly DroppedFile[]): void {
    this.#files = files;
    byId("file-list").replaceChildren(
      ...files.map((dropped) =>
        make(
          "li",
          {},
          make("b", {}, dropped.file.name),
          make("span", { class: "hint" }, `${KIND_NAMES[dropped.kind]}, ${formatBytes(dropped.file.size)}`),
          make(
            "button",
            {
              type: "button",
              class: "quiet",
              "aria-label": `Remove ${dropped.file.name}`,
              onclick: () => this.#setFiles(this.#files.filter((other) => other !== dropped)),
            },
            "✕",
          ),
        ),
      ),
    );
    // What boots by a BIOS shows itself on a screen.
    if (files.length > 0) this.#screen.checked = !files.some(({ kind }) => kind === "kernel");
  }

  #choose(name: string): void {
    for (const input of this.#form.querySelectorAll<HTMLInputElement>("input[name=preset]"))
      input.checked = input.value === name;
    this.#showDefaults();
  }

  /** What the chosen guest needs; the visitor may say otherwise. */
  #showDefaults(): void {
    const chosen = String(new FormData(this.#form).get("preset"));
    const preset = this.#presets.find(({ name }) => name === chosen);
    const mib = (preset?.memoryBytes ?? 128 * MIB) / MIB;
    if (![...this.#memory.options].some(({ value }) => Number(value) === mib))
      this.#memory.add(new Option(`${mib} MiB`, String(mib)), 0);
    this.#memory.value = String(mib);
    this.#cpu.value = preset?.cpu ?? DEFAULT_CPU;
    this.#append.value = preset?.append ?? "";
    this.#screen.checked =
      preset === undefined && this.#files.length > 0 && !this.#files.some(({ kind }) => kind === "kernel");
  }

  #showMode(): void {
    byId("mode-text").textContent = MODE_TEXTS[new FormData(this.#form).get("mode") as VirtualizationMode];
  }

  #listenDrops(): void {
    const target = document.documentElement;
    let depth = 0;
    const mark = (change: number): void => {
      depth = Math.max(0, depth + change);
      byId("drop").classList.toggle("over", depth > 0);
    };
    target.addEventListener("dragenter", () => mark(1));
    target.addEventListener("dragleave", () => mark(-1));
    target.addEventListener("dragover", (event) => event.preventDefault());
    target.addEventListener("drop", (event) => {
      event.preventDefault();
      mark(-depth);
      const files = [...(event.dataTransfer?.files ?? [])];
      if (files.length > 0) void this.#work(() => this.#take(files));
    });
  }
}

function card(name: string, title: string): HTMLElement {
  return make(
    "label",
    { class: "card" },
    make("input", { type: "radio", name: "preset", value: name }),
    make("b", {}, name),
    make("span", {}, title),
  );
}
