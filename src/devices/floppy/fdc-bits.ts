// Registers and status bits of the 82077AA (datasheet 290166, chapters 2 and 6).

// ---- registers, from the base
export const REG_SRA = 0;
export const REG_SRB = 1;
export const REG_DOR = 2;
export const REG_TDR = 3;
/** Written: data rate select. */
export const REG_MSR = 4;
export const REG_FIFO = 5;
/** Written: configuration control. */
export const REG_DIR = 7;

export const DOR_SELECT = 0x03;
export const DOR_NOT_RESET = 0x04;
export const DOR_DMA = 0x08;
export const MSR_RQM = 0x80;
export const MSR_DIO = 0x40;
export const MSR_NON_DMA = 0x20;
export const MSR_BUSY = 0x10;
export const DSR_RESET = 0x80;
export const DSR_RATE = 0x03;
export const DIR_CHANGED = 0x80;

// ---- what commands answer
export const ST0_ABNORMAL = 0x40;
export const ST0_INVALID = 0x80;
/** After a reset: the drive's ready line was looked at. */
export const ST0_POLLED = 0xc0;
export const ST0_SEEK_END = 0x20;
export const ST0_EQUIPMENT_CHECK = 0x10;
export const ST1_MISSING_MARK = 0x01;
export const ST1_WRITE_PROTECTED = 0x02;
export const ST1_NO_DATA = 0x04;
export const ST1_DATA_ERROR = 0x20;
export const ST1_END_OF_CYLINDER = 0x80;
export const ST3_TWO_SIDES = 0x08;
export const ST3_TRACK_0 = 0x10;
export const ST3_READY = 0x20;
export const ST3_WRITE_PROTECTED = 0x40;
