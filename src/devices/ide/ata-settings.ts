// What a host sets on an ATA disk and its identification tells: geometry of CHS addresses, size of MULTIPLE blocks, write
// cache, SMART, transfer mode.
import type { DeviceState } from "../../vmm/device.ts";
import type { SavedState } from "../saved-state.ts";
import { type DiskGeometry, defaultGeometry, MULTIPLE_MAX } from "./identify.ts";
import {
  SMART_AUTOSAVE,
  SMART_DISABLE,
  SMART_ENABLE,
  SMART_EXECUTE_OFFLINE,
  SMART_READ_DATA,
  SMART_READ_THRESHOLDS,
  SMART_RETURN_STATUS,
  smartData,
  smartThresholds,
} from "./smart.ts";
import { TransferMode } from "./transfer-mode.ts";

/** Subcommands of SET FEATURES without effect: power and acoustic management, read look-ahead, reverting to defaults. */
const FEATURES_WITHOUT_EFFECT: ReadonlySet<number> = new Set([0x05, 0x85, 0x42, 0xc2, 0xaa, 0x55, 0x66, 0xcc]);

export class AtaSettings {
  /** Of the whole disk. */
  readonly geometry: DiskGeometry;
  /** That CHS addresses count in. */
  current: DiskGeometry;
  /** Sectors of a MULTIPLE block; 0: such commands are refused. */
  multiple = MULTIPLE_MAX;
  writeCache = true;
  smart = true;
  readonly mode = new TransferMode();

  constructor(readonly totalSectors: number) {
    this.geometry = defaultGeometry(totalSectors);
    this.current = this.geometry;
  }

  static acceptsFeature(feature: number): boolean {
    return FEATURES_WITHOUT_EFFECT.has(feature);
  }

  /** False for a count that there is not. */
  setMultiple(count: number): boolean {
    if (count > MULTIPLE_MAX || (count & (count - 1)) !== 0) return false;
    this.multiple = count;
    return true;
  }

  /** INITIALIZE DEVICE PARAMETERS; false for tracks without sectors. */
  setGeometry(heads: number, sectors: number): boolean {
    if (sectors === 0) return false;
    const cylinders = Math.min(65535, Math.floor(this.totalSectors / (heads * sectors)));
    this.current = { cylinders, heads, sectors };
    return true;
  }

  /** A SMART command: a sector to answer with, true where it is done, false where it is refused. */
  runSmart(feature: number): Uint8Array | boolean {
    if (feature === SMART_ENABLE || feature === SMART_DISABLE) {
      this.smart = feature === SMART_ENABLE;
      return true;
    }
    if (!this.smart) return false;
    if (feature === SMART_READ_DATA) return smartData();
    if (feature === SMART_READ_THRESHOLDS) return smartThresholds();
    return feature === SMART_RETURN_STATUS || feature === SMART_AUTOSAVE || feature === SMART_EXECUTE_OFFLINE;
  }

  save(): DeviceState {
    return {
      multiple: this.multiple,
      writeCache: this.writeCache,
      smart: this.smart,
      ...this.mode.save(),
      cylinders: this.current.cylinders,
      heads: this.current.heads,
      sectors: this.current.sectors,
    };
  }

  load(saved: SavedState): void {
    this.multiple = saved.integer("multiple", MULTIPLE_MAX);
    this.writeCache = saved.flag("writeCache");
    this.smart = saved.flag("smart");
    this.mode.load(saved);
    this.current = {
      cylinders: saved.integer("cylinders", 65535),
      heads: saved.integer("heads", 16),
      sectors: saved.integer("sectors", 255),
    };
  }
}
