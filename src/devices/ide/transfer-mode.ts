// The DMA mode that a host chooses with SET FEATURES (ATA/ATAPI-6, 8.46.3), and where the identification shows it.
import type { DeviceState } from "../../vmm/device.ts";
import type { SavedState } from "../saved-state.ts";

/** Kinds of modes, in the upper five bits of the sector count register. */
const KIND_PIO_MAX = 1;
const KIND_MULTIWORD = 4;
const KIND_ULTRA = 8;
const MULTIWORD_MAX = 2;
const ULTRA_MAX = 5;
/** Words of the identification. */
const WORD_MULTIWORD = 63;
const WORD_ULTRA = 88;

export interface DmaMode {
  readonly word: typeof WORD_MULTIWORD | typeof WORD_ULTRA;
  readonly mode: number;
}

export class TransferMode {
  /** Undefined: none was chosen, or PIO. */
  dma: DmaMode | undefined;

  /** `code`: the sector count register. False for a mode that there is not. */
  choose(code: number): boolean {
    const mode = code & 7;
    const kind = code >> 3;
    if (kind === KIND_MULTIWORD && mode <= MULTIWORD_MAX) this.dma = { word: WORD_MULTIWORD, mode };
    else if (kind === KIND_ULTRA && mode <= ULTRA_MAX) this.dma = { word: WORD_ULTRA, mode };
    else if (kind <= KIND_PIO_MAX) this.dma = undefined;
    else return false;
    return true;
  }

  save(): { dmaWord: number; dmaMode: number } & DeviceState {
    return { dmaWord: this.dma?.word ?? 0, dmaMode: this.dma?.mode ?? 0 };
  }

  load(saved: SavedState): void {
    const word = saved.integer("dmaWord", WORD_ULTRA);
    const mode = saved.integer("dmaMode", ULTRA_MAX);
    this.dma = word === WORD_MULTIWORD || word === WORD_ULTRA ? { word, mode } : undefined;
  }
}
