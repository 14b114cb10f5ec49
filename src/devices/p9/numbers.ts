// Numbers of the protocol 9P2000.L: types of messages, and what Linux's open, mode and attribute bits are in it.

// ---- requests; the reply is one more
export const NO_FID = 0xffffffff;
export const TLERROR = 6;
export const TSTATFS = 8;
export const TLOPEN = 12;
export const TLCREATE = 14;
export const TSYMLINK = 16;
export const TMKNOD = 18;
export const TRENAME = 20;
export const TREADLINK = 22;
export const TGETATTR = 24;
export const TSETATTR = 26;
export const TREADDIR = 40;
export const TFSYNC = 50;
export const TLOCK = 52;
export const TGETLOCK = 54;
export const TLINK = 70;
export const TMKDIR = 72;
export const TRENAMEAT = 74;
export const TUNLINKAT = 76;
export const TVERSION = 100;
export const TATTACH = 104;
export const TFLUSH = 108;
export const TWALK = 110;
export const TREAD = 116;
export const TWRITE = 118;
export const TCLUNK = 120;
export const TREMOVE = 122;

// ---- numbers of Linux's
export const O_ACCESS = 0o3;
export const O_WRITE_ONLY = 1;
export const O_READ_WRITE = 2;
export const O_TRUNCATE = 0o1000;
export const O_APPEND = 0o2000;
export const AT_REMOVE_DIRECTORY = 0x200;
export const MODE_TYPE = 0o170000;
export const MODE_FILE = 0o100000;
export const MODES = { file: MODE_FILE, directory: 0o040000, symlink: 0o120000, other: 0o060000 } as const;
export const ENTRY_TYPES = { file: 8, directory: 4, symlink: 10, other: 0 } as const;
export const QID_TYPES = { file: 0, directory: 0x80, symlink: 0x02, other: 0 } as const;
export const FILE_SYSTEM_9P = 0x01021997;
export const UNLOCKED = 2;
export const SET_PERMISSIONS = 0x001;
export const SET_SIZE = 0x008;
export const SET_ACCESS = 0x010;
export const SET_MODIFY = 0x020;
export const SET_ACCESS_TO = 0x080;
export const SET_MODIFY_TO = 0x100;
export const GETATTR_BASIC = 0x7ffn;
export const NS = 1_000_000_000n;
