// The registers of an ATA channel and what their bits mean (ATA/ATAPI-6, T13 1410D, clauses 7 and 8).

// ---- command block, offsets from 1F0h or 170h
export const REG_DATA = 0;
/** Read: error. Written: features. */
export const REG_ERROR = 1;
export const REG_COUNT = 2;
export const REG_LBA_LOW = 3;
export const REG_LBA_MID = 4;
export const REG_LBA_HIGH = 5;
export const REG_DEVICE = 6;
/** Read: status, which clears the interrupt. Written: command. */
export const REG_STATUS = 7;

export const STATUS_ERR = 0x01;
export const STATUS_DRQ = 0x08;
export const STATUS_DSC = 0x10;
export const STATUS_DF = 0x20;
export const STATUS_DRDY = 0x40;
export const STATUS_BSY = 0x80;
export const STATUS_READY = STATUS_DRDY | STATUS_DSC;

export const ERROR_ABRT = 0x04;
export const ERROR_IDNF = 0x10;
export const ERROR_UNC = 0x40;

export const DEVICE_HEAD = 0x0f;
export const DEVICE_DEV = 0x10;
export const DEVICE_LBA = 0x40;
/** Bits that always read as one on devices that ever were in a PC. */
export const DEVICE_ONES = 0xa0;

// ---- device control
export const CONTROL_NIEN = 0x02;
export const CONTROL_SRST = 0x04;
export const CONTROL_HOB = 0x80;

/** Result of the diagnostics: device 0 passed, device 1 passed or is not there. */
export const DIAGNOSTIC_PASSED = 0x01;

// ---- commands
export const CMD_NOP = 0x00;
export const CMD_DATA_SET_MANAGEMENT = 0x06;
export const CMD_DEVICE_RESET = 0x08;
export const CMD_EXECUTE_DIAGNOSTIC = 0x90;
export const CMD_PACKET = 0xa0;
export const CMD_IDENTIFY_PACKET = 0xa1;
export const CMD_IDENTIFY = 0xec;
export const CMD_SET_FEATURES = 0xef;

// ---- subcommands of SET FEATURES
export const FEATURE_WRITE_CACHE_ON = 0x02;
export const FEATURE_TRANSFER_MODE = 0x03;
export const FEATURE_WRITE_CACHE_OFF = 0x82;

export const SECTOR_BYTES = 512;
