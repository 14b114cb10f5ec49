// Drives and network cards that come and go while a machine is there: over PCI, and the guest hears of it by ACPI.
import { configurePci } from "../devices/pci/firmware-setup.ts";
import { HOTPLUG_GPE, HOTPLUG_SLOTS } from "../devices/pci/hotplug.ts";
import { type CheckedConfig, checkConfig, toConfig } from "./check-config.ts";
import type { CheckedNic } from "./check-network.ts";
import type { VmConfig } from "./config.ts";
import type { DriveConfig, NicConfig } from "./device-config.ts";
import { loadVirtio } from "./device-families.ts";
import { VmError } from "./error.ts";
import { applyLimits } from "./limits.ts";
import type { Machine } from "./machine.ts";
import type { Card } from "./virtio-cards.ts";
import { VIRTIO_SLOTS } from "./virtio-slots.ts";

/** What a guest gets to let go of a device. */
const DETACH_TIMEOUT_MS = 10_000;

export type CardKind = "drive" | "nic";

export interface DetachOptions {
  /** Without asking: as if somebody pulled the card out. What the guest has not written yet is lost. Default false. */
  readonly force?: boolean;
  /** What the guest gets to let go of it, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
}

export class Hotplug {
  /** Who waits for the guest to eject a slot; told how closing what was behind the card went. */
  readonly #waiting = new Map<number, (closed: Promise<void>) => void>();

  #last: Promise<void> = Promise.resolve();

  constructor(
    private readonly machine: Machine,
    private readonly removed: (kind: CardKind, id: string) => void,
  ) {}

  /** Throws VmError: "bad-config" naming the field, "bad-state" where the machine cannot, and what opening the disk throws. */
  async attachDrive(drive: DriveConfig): Promise<void> {
    if (drive.bus !== "virtio") {
      throw new VmError(
        "bad-config",
        `drive.bus is ${String(drive.bus)}; drives come and go on bus virtio only. A CD or floppy drive that is there can get another medium.`,
        { field: "drive.bus" },
      );
    }
    await this.#oneByOne(async () => {
      const { machine } = this;
      this.#requireWay();
      const config = checkWith(machine.config, { drives: [...machine.config.drives, drive] });
      const checked = config.drives.find(({ id }) => id === drive.id) as DriveConfig;
      this.#requireSlot("unit of the drive", VIRTIO_SLOTS.drives, checked.unit ?? 0);
      const { driveCard } = await loadVirtio();
      const opened = await machine.openDrive(checked);
      machine.config = { ...machine.config, drives: [...machine.config.drives, checked] };
      this.#insert(driveCard(opened, machine.board.virtio.cards.parts));
    });
  }

  /** Throws VmError: "bad-config" naming the field, "bad-state" where the machine cannot. */
  async attachNic(nic: NicConfig): Promise<void> {
    if (nic.model !== "virtio") {
      throw new VmError("bad-config", `nic.model is ${String(nic.model)}; cards that come and go are virtio.`, {
        field: "nic.model",
      });
    }
    await this.#oneByOne(async () => {
      const { machine } = this;
      this.#requireWay();
      const config = checkWith(machine.config, { nics: [...machine.config.nics, nic] });
      const checked = config.nics.find(({ id }) => id === nic.id) as CheckedNic;
      this.#requireSlot("unit of the network card", VIRTIO_SLOTS.nics, checked.unit);
      const { nicCard } = await loadVirtio();
      const opened = await machine.openNic(checked);
      machine.config = { ...machine.config, nics: [...machine.config.nics, checked] };
      this.#insert([nicCard(opened, machine.board.virtio.cards.parts)]);
    });
  }

  /**
   * Asks the guest for a drive or card and waits until it has let go of it. Throws VmError: "not-found", "bad-state" where
   * the guest does not listen, "timeout" when it keeps it.
   */
  async detach(id: string, options: DetachOptions = {}): Promise<void> {
    const { board, vcpu } = this.machine;
    const card = this.#find(id);
    if (options.force || vcpu.retired === 0) return await this.#remove(card);
    const { hotplug, pm } = board;
    if (hotplug === undefined || pm === undefined || !pm.listensTo(HOTPLUG_GPE)) {
      throw new VmError(
        "bad-state",
        `The guest cannot be asked for ${id}: ${hotplug === undefined ? "the machine has no ACPI" : "it does not listen to ACPI"}; force takes it away all the same.`,
        { id },
      );
    }
    if (!HOTPLUG_SLOTS.includes(card.slot)) {
      throw new VmError(
        "bad-state",
        `The guest cannot be asked for ${id}: its slot has no eject; force takes it away all the same.`,
        { id },
      );
    }
    if (this.#waiting.has(card.slot))
      throw new VmError("bad-state", `The guest is being asked for ${id} already.`, { id });
    const { timeoutMs = DETACH_TIMEOUT_MS } = options;
    const answer = await new Promise<{ readonly closed: Promise<void> } | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), timeoutMs);
      this.#waiting.set(card.slot, (closed) => {
        clearTimeout(timer);
        resolve({ closed });
      });
      hotplug.requestRemoval(card.slot);
    });
    this.#waiting.delete(card.slot);
    if (answer !== undefined) return await answer.closed;
    hotplug.settled(card.slot);
    throw new VmError(
      "timeout",
      `The guest did not let go of ${id} within ${timeoutMs} ms; it may be in use. Force takes it away all the same.`,
      { id },
    );
  }

  /** The guest has ejected a slot, asked or not. */
  ejected(slot: number): void {
    const card = this.machine.board.virtio.cards.inSlot(slot);
    if (card === undefined) return;
    const closing = this.#remove(card);
    // Whoever waits hears of a failure; nobody else could do anything about it.
    closing.catch(() => {});
    this.#waiting.get(slot)?.(closing);
  }

  // ---- inside

  /** What is checked first must still hold when it is done. */
  #oneByOne(work: () => Promise<void>): Promise<void> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  #requireWay(): void {
    if (this.machine.board.hotplug !== undefined || this.machine.vcpu.retired === 0) return;
    throw new VmError("bad-state", "A machine without ACPI cannot tell its guest of a new card.", { field: "acpi" });
  }

  #requireSlot(what: string, first: number, unit: number): void {
    if (this.machine.vcpu.retired === 0 || HOTPLUG_SLOTS.includes(first + unit)) return;
    const units = HOTPLUG_SLOTS.filter((slot) => slot >= first && slot < first + 8).map((slot) => slot - first);
    throw new VmError(
      "bad-state",
      `No free slot: ${what} would be ${unit}, and cards come and go in ${units.join(", ")} while the guest runs.`,
      { unit },
    );
  }

  #find(id: string): Card {
    const { board, config } = this.machine;
    const { cards } = board.virtio;
    const card = cards.byId("drive", id) ?? cards.byId("nic", id);
    if (card !== undefined) return card;
    const drive = config.drives.find((one) => one.id === id);
    if (drive !== undefined) {
      throw new VmError("bad-state", `Drive ${id} is on bus ${drive.bus}; only those on virtio can be detached.`, {
        id,
      });
    }
    const known = [...cards.drives.keys(), ...cards.nics.keys()].join(", ") || "none";
    throw new VmError("not-found", `There is no drive or network card "${id}" to detach; there are: ${known}.`, { id });
  }

  #has(card: Card): boolean {
    return this.machine.board.virtio.cards.inSlot(card.slot) === card;
  }

  #insert(cards: readonly Card[]): void {
    const { board, vcpu, config } = this.machine;
    for (const card of cards) board.virtio.cards.add(card);
    applyLimits(board, config);
    for (const { carrier, slot } of cards) {
      board.devices.push(carrier);
      // A guest that has not begun finds it as it finds the others.
      if (vcpu.retired > 0) board.hotplug?.inserted(slot);
    }
    if (vcpu.retired === 0 && config.boot.kind !== "firmware") configurePci(board.pci, board.bridge);
  }

  async #remove(card: Card): Promise<void> {
    const { machine } = this;
    const { board, config } = machine;
    if (!this.#has(card)) return;
    board.hotplug?.settled(card.slot);
    board.virtio.cards.remove(card);
    board.devices.splice(board.devices.indexOf(card.carrier), 1);
    machine.clock.forgetTimers(card.carrier.name);
    machine.config = {
      ...config,
      ...(card.kind === "drive"
        ? { drives: config.drives.filter(({ id }) => id !== card.id) }
        : { nics: config.nics.filter(({ id }) => id !== card.id) }),
    };
    this.removed(card.kind, card.id);
    if (card.kind === "drive") await machine.closeDrive(card.id);
    else machine.closeNic(card.id);
  }
}

function checkWith(config: CheckedConfig, change: Pick<VmConfig, "drives" | "nics">): CheckedConfig {
  return checkConfig({ ...toConfig(config), ...change });
}
