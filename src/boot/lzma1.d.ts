/** Unpacks one .lzma ("LZMA alone") file; throws Error for damaged data. */
export function decompress(data: Uint8Array): Uint8Array;
