// Layout of a decode-table entry (u32), shared by the generator and the decoder (as plain constants there).
export const ATTR_OP_MASK = 0xfff;
export const ATTR_IMM_SHIFT = 12;
export const ATTR_IMM_MASK = 15;
export const ATTR_MODRM = 0x10000;
export const ATTR_E8 = 0x20000;
export const ATTR_G8 = 0x40000;
export const ATTR_GROUP = 0x80000;
export const ATTR_END = 0x100000;
export const ATTR_LOCK = 0x200000;
export const ATTR_PROTECTED = 0x400000;
/** A register operand whatever ModRM.mod says: MOV CRn and DRn. */
export const ATTR_REG_ALWAYS = 0x800000;
export const ATTR_OPREG = 0x1000000;
export const ATTR_ACC = 0x2000000;
export const ATTR_FEATURE_SHIFT = 26;

export const IMM_NONE = 0;
export const IMM_B = 1;
export const IMM_SB = 2;
export const IMM_W = 3;
export const IMM_Z = 4;
export const IMM_JB = 5;
export const IMM_JZ = 6;
export const IMM_MOFFS = 7;
export const IMM_FAR = 8;
export const IMM_WB = 9;
export const IMM_ONE = 10;
