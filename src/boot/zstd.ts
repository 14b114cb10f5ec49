// The library for zstd, which makes its tables when it starts: loaded when a kernel needs it.
export { Decompress, decompress } from "fzstd";
