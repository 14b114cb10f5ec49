// The page: the form, and the guests that it started.
import { Host, type HostedVm } from "../src/index.ts";
import { pageShown, showPage } from "./asked.ts";
import { loadCatalogue, loadRom, type Preset } from "./catalogue.ts";
import { ComparisonPanel } from "./comparison.ts";
import { byId, errorText } from "./dom.ts";
import { GuestPanel } from "./guest-panel.ts";
import {
  configOf,
  fetchSnapshot,
  type MachineOptions,
  parseUrl,
  type UrlRequest,
  type WhatBoots,
  whatBoots,
} from "./guest-request.ts";
import { restoreKept } from "./kept.ts";
import { Launcher, type LauncherOwner } from "./launcher.ts";
import { relayUrl, requireNetwork } from "./networks.ts";
import { chooseTheme, currentTheme, startTheme } from "./theme.ts";

/** More share the processors that a page may use. */
const PCPUS_MAX = 4;
/** The form waits for the guest that the address asks for, this long at most, milliseconds. */
const FORM_WAITS_MS = 2000;

class Page implements LauncherOwner {
  readonly #panels = new Set<GuestPanel>();
  #launcher: Launcher | undefined;
  readonly #names = new Map<string, number>();

  constructor(private readonly host: Host) {
    this.#showIsolation();
    const theme = byId("theme");
    const showTheme = (): void => {
      theme.textContent = currentTheme() === "dark" ? "Light" : "Dark";
      for (const panel of this.#panels) panel.applyTheme();
    };
    theme.addEventListener("click", () => {
      chooseTheme(currentTheme() === "dark" ? "light" : "dark");
      showTheme();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
    showTheme();
    host.on("pcpu-lost", ({ reason }) => this.tell(new Error(`A worker of this page failed: ${reason}.`)));
  }

  /** What the address asks for, at once; the rest of the page follows. */
  async open({ wanted, catalogue, what }: Asked): Promise<void> {
    const started = what === undefined ? undefined : this.#openAsked(wanted, what);
    // Nobody looks at the form meanwhile, and the processors are few.
    if (started !== undefined) await Promise.race([started.then(pageShown), wait(FORM_WAITS_MS)]);
    const launcher = new Launcher(this);
    this.#launcher = launcher;
    new ComparisonPanel();
    const listed = catalogue.then((presets) => launcher.offer(presets));
    await Promise.all([
      started,
      listed.catch((error: unknown) => this.tell(error)),
      launcher.listKept().catch(() => {}),
      relayUrl().then((url) => url !== undefined && launcher.offerRelay()),
    ]);
  }

  async start(what: WhatBoots, options: MachineOptions): Promise<void> {
    this.tell(undefined);
    await requireNetwork(this.host, options.network);
    const vm = await this.host.createVm({ ...configOf(what, options), name: this.#freeName(what.name) });
    await this.#show(vm);
  }

  async restore(snapshot: { readonly file: File } | { readonly kept: string }, wanted: string): Promise<void> {
    this.tell(undefined);
    const name = this.#freeName(wanted);
    const vm =
      "file" in snapshot
        ? await this.host.restoreVm({ bytes: snapshot.file }, { name })
        : await restoreKept(this.host, snapshot.kept, name);
    await this.#show(vm);
  }

  tell(error: unknown): void {
    if (error !== undefined) showPage();
    const alert = byId("alert");
    alert.hidden = error === undefined;
    alert.textContent = error === undefined ? "" : errorText(error);
  }

  // ---- inside

  async #openAsked(wanted: UrlRequest, what: NonNullable<Asked["what"]>): Promise<void> {
    byId<HTMLDetailsElement>("launcher").open = false;
    try {
      const found = await what;
      if ("bytes" in found) await this.#show(await this.host.restoreVm(found, { name: this.#freeName("restored") }));
      else await this.start(found, wanted);
    } catch (error) {
      this.tell(error);
    }
  }

  async #show(vm: HostedVm): Promise<void> {
    // The machine waits neither for its panel nor for its terminal.
    const start = vm.start();
    const panel = new GuestPanel(vm, {
      controls: true,
      onPrinted: showPage,
      onKept: () => void this.#launcher?.listKept(),
      onClosed: () => {
        this.#panels.delete(panel);
        this.#count();
      },
    });
    this.#panels.add(panel);
    byId<HTMLDetailsElement>("launcher").open = false;
    byId("guests").append(panel.element);
    this.#count();
    const started = panel.act(() => start);
    panel.open();
    await started;
    await pageShown();
    panel.focus();
  }

  #count(): void {
    byId("guests").dataset["count"] = String(this.#panels.size);
  }

  /** hello, hello-2, hello-3: names of a host's VMs differ. */
  #freeName(wanted: string): string {
    const base = wanted.replace(/-\d+$/, "").slice(0, 40) || "guest";
    for (;;) {
      const count = (this.#names.get(base) ?? 0) + 1;
      this.#names.set(base, count);
      const name = count === 1 ? base : `${base}-${count}`;
      if (!this.host.vms.some((vm) => vm.name === name)) return name;
    }
  }

  #showIsolation(): void {
    const badge = byId("isolation");
    const { pcpus } = this.host;
    badge.hidden = false;
    badge.textContent = crossOriginIsolated
      ? `${pcpus} pCPU${pcpus > 1 ? "s" : ""}, shared memory`
      : "1 pCPU, not isolated";
    badge.title = crossOriginIsolated
      ? "This page is isolated from others: guests run in workers that share memory, and move between them."
      : "This page is not isolated from others (no COOP and COEP headers): all guests run in one worker.";
  }
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** What the address asks for, on its way. */
interface Asked {
  readonly wanted: UrlRequest;
  readonly catalogue: Promise<readonly Preset[]>;
  /** Undefined where it asks for nothing. */
  readonly what: Promise<WhatBoots | { readonly bytes: Uint8Array }> | undefined;
}

function ask(query: URLSearchParams): Asked {
  const wanted = parseUrl(query);
  const what = wanted.autostart
    ? wanted.snapshot === undefined
      ? whatBoots(
          wanted,
          async (name) => (await loadRom(name)) ?? (await catalogue).find((preset) => preset.name === name),
        )
      : fetchSnapshot(wanted.snapshot).then((bytes) => ({ bytes }))
    : undefined;
  const catalogue = loadCatalogue();
  // Whoever waits for them tells what went wrong.
  for (const promise of [what, catalogue]) promise?.catch(() => {});
  return { wanted, catalogue, what };
}

try {
  const query = new URLSearchParams(location.search);
  startTheme(query.get("theme"));
  const asked = ask(query);
  const pcpus = Math.min(PCPUS_MAX, navigator.hardwareConcurrency);
  await new Page(await Host.create({ pcpus, threads: asked.wanted.threads })).open(asked);
} catch (error) {
  showPage();
  byId("alert").hidden = false;
  byId("alert").textContent = errorText(error);
}
