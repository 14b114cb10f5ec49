// Registers of the RTL8139C+ and their bits (RTL8139C(L)+ datasheet, chapter 5), by offset in both of its base addresses.

export const REGISTER_BYTES = 256;

// ---- offsets
export const IDR = 0x00;
export const MAR = 0x08;
/** Transmit status of four descriptors; in C+ mode the first eight bytes are DTCCR. */
export const TSD = 0x10;
export const TSAD = 0x20;
export const RBSTART = 0x30;
export const CR = 0x37;
export const CAPR = 0x38;
export const CBR = 0x3a;
export const IMR = 0x3c;
export const ISR = 0x3e;
export const TCR = 0x40;
export const RCR = 0x44;
export const TCTR = 0x48;
export const MPC = 0x4c;
export const CR9346 = 0x50;
export const CONFIG0 = 0x51;
export const CONFIG1 = 0x52;
export const TIMER_INT = 0x54;
export const MSR = 0x58;
export const CONFIG3 = 0x59;
export const CONFIG4 = 0x5a;
export const REVISION = 0x5e;
export const TSAD_ALL = 0x60;
export const BMCR = 0x62;
export const BMSR = 0x64;
export const ANAR = 0x66;
export const ANLPAR = 0x68;
export const ANER = 0x6a;
export const CONFIG5 = 0xd8;
export const TPPOLL = 0xd9;
export const CPCR = 0xe0;
export const RDSAR = 0xe4;

// ---- CR
export const CR_EMPTY = 0x01;
export const CR_TRANSMIT = 0x04;
export const CR_RECEIVE = 0x08;
export const CR_RESET = 0x10;

// ---- ISR and IMR
export const INT_RECEIVED = 0x0001;
export const INT_SENT = 0x0004;
/** Ring full, or in C+ mode no descriptor. */
export const INT_NO_ROOM = 0x0010;
export const INT_LINK = 0x0020;
export const INT_NOTHING_TO_SEND = 0x0080;
export const INT_SOFTWARE = 0x0100;
export const INT_TIMER = 0x4000;
export const INT_BITS = 0xe1ff;

// ---- TSD
export const TSD_SIZE = 0x1fff;
export const TSD_OWN = 0x2000;
export const TSD_UNDERRUN = 0x4000;
export const TSD_SENT = 0x8000;
export const TSD_THRESHOLD = 0x3f0000;
export const TSD_ABORTED = 0x4000_0000;

// ---- TCR and RCR
export const TCR_LOOPBACK = 0x60000;
export const TCR_WRITABLE = 0x0307_07f1;
/** What kind of chip it is. */
export const TCR_VERSION_PLUS = 0x7480_0000;
export const TCR_VERSION_D = 0x7440_0000;
export const RCR_ALL = 0x01;
export const RCR_OWN = 0x02;
export const RCR_MULTICAST = 0x04;
export const RCR_BROADCAST = 0x08;
export const RCR_NO_WRAP = 0x80;
export const RCR_LENGTH_SHIFT = 11;
export const RCR_WRITABLE = 0x0f03_ffbf;

// ---- 9346CR
export const EEPROM_MODE = 0xc0;
export const EEPROM_UNLOCKED = 0xc0;
export const EEPROM_PROGRAM = 0x80;

// ---- MSR
export const MSR_LINK_DOWN = 0x04;
export const MSR_FIXED = 0x10;

// ---- TPPoll
export const POLL_HIGH = 0x80;
export const POLL_NORMAL = 0x40;
export const POLL_INTERRUPT = 0x01;

// ---- CPCR
export const CPCR_TRANSMIT = 0x01;
export const CPCR_RECEIVE = 0x02;
export const CPCR_CHECKSUM = 0x20;
export const CPCR_VLAN = 0x40;
export const CPCR_WRITABLE = 0x007f;

// ---- BMCR and BMSR (IEEE 802.3, 22.2.4)
export const BMCR_RESET = 0x8000;
export const BMCR_RESTART = 0x0200;
export const BMCR_DEFAULT = 0x1100;
/** 10 and 100 Mb/s, both duplexes, negotiated; the link's bits beside. */
export const BMSR_ABILITIES = 0x7809;
export const BMSR_LINK = 0x0024;
export const ANAR_DEFAULT = 0x05e1;
export const ANLPAR_DEFAULT = 0x45e1;
