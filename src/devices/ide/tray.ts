// The tray of a CD drive with what lies in it, and what of its changes the guest has yet to hear of (MMC-3, Mt. Fuji 5).
import type { BlockBackend } from "../../vmm/block.ts";
import type { DeviceState } from "../../vmm/device.ts";
import { VmError } from "../../vmm/error.ts";
import type { SavedState } from "../saved-state.ts";
import type { MediaEvent } from "./packet-commands.ts";
import {
  CD_SECTOR,
  MEDIUM_CHANGED,
  NOT_READY_NO_MEDIUM,
  NOT_READY_TRAY_OPEN,
  REMOVAL_PREVENTED,
  type Sense,
} from "./sense.ts";

const EVENTS: readonly MediaEvent[] = ["none", "eject-request", "new-media", "removed"];
/** START STOP UNIT: what LoEj and Start say together. */
const EJECT = 2;
const LOAD = 3;

export class Tray {
  open = false;
  locked = false;
  /** Told to the next command, once. */
  attention: Sense | undefined;
  event: MediaEvent = "none";

  constructor(
    /** Undefined: it is empty. */
    public medium: BlockBackend | undefined,
    private readonly drive: string,
  ) {}

  /** Of the disc, when it can be read. */
  get sectors(): number | undefined {
    if (this.open || this.medium === undefined) return undefined;
    return Math.floor(this.medium.sizeBytes / CD_SECTOR);
  }

  /** Why it cannot be read; undefined when it can. */
  get notReady(): Sense | undefined {
    if (this.sectors !== undefined) return undefined;
    return this.open ? NOT_READY_TRAY_OPEN : NOT_READY_NO_MEDIUM;
  }

  /** The host's hand; throws VmError("bad-state") while the guest has locked the tray, unless forced. */
  change(medium: BlockBackend | undefined, force: boolean): void {
    if (this.locked && !force && this.medium !== undefined) {
      this.event = "eject-request";
      throw new VmError(
        "bad-state",
        `The guest has locked the tray of drive ${this.drive}; it has been asked to open it, or use force.`,
        { drive: this.drive },
      );
    }
    this.medium = medium;
    this.open = false;
    this.locked = false;
    this.attention = MEDIUM_CHANGED;
    this.event = medium === undefined ? "removed" : "new-media";
  }

  /** START STOP UNIT; returns why it is refused. */
  startStop(bits: number): Sense | undefined {
    const eject = (bits & 3) === EJECT;
    if (eject && this.locked) return REMOVAL_PREVENTED;
    if (eject) {
      this.open = true;
    } else if ((bits & 3) === LOAD && this.open) {
      this.open = false;
      this.attention = MEDIUM_CHANGED;
      this.event = "new-media";
    }
    return undefined;
  }

  takeAttention(): Sense | undefined {
    const { attention } = this;
    this.attention = undefined;
    return attention;
  }

  save(): DeviceState {
    return {
      trayOpen: this.open,
      locked: this.locked,
      attention: this.attention !== undefined,
      event: EVENTS.indexOf(this.event),
    };
  }

  load(saved: SavedState): void {
    this.open = saved.flag("trayOpen");
    this.locked = saved.flag("locked");
    this.attention = saved.flag("attention") ? MEDIUM_CHANGED : undefined;
    this.event = EVENTS[saved.integer("event", EVENTS.length - 1)] ?? "none";
  }
}
