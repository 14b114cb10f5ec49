/** First bytes of a .xz file (xz-file-format 1.2, 2.1.1.1). */
export const XZ_MAGIC: readonly number[] = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
