// Pixels of every format as RGBA.
import { type PixelFormat, type PixelFrame, packColor } from "./frame.ts";

/** Fills the low bits of a widened component from its high ones, so that full stays full. */
const from5 = (v: number): number => (v << 3) | (v >> 2);
const from6 = (v: number): number => (v << 2) | (v >> 4);

type Converter = (frame: PixelFrame, into: Uint32Array) => void;

const CONVERTERS: Readonly<Record<PixelFormat, Converter>> = {
  indexed: ({ pixels, palette }, into) => {
    for (let i = 0; i < into.length; i++) into[i] = palette[pixels[i] as number] as number;
  },
  rgb555: (frame, into) =>
    each(frame, 2, into, (p, at) => {
      const word = (p[at] as number) | ((p[at + 1] as number) << 8);
      return packColor(from5((word >> 10) & 31), from5((word >> 5) & 31), from5(word & 31));
    }),
  rgb565: (frame, into) =>
    each(frame, 2, into, (p, at) => {
      const word = (p[at] as number) | ((p[at + 1] as number) << 8);
      return packColor(from5(word >> 11), from6((word >> 5) & 63), from5(word & 31));
    }),
  bgr888: (frame, into) =>
    each(frame, 3, into, (p, at) => packColor(p[at + 2] as number, p[at + 1] as number, p[at] as number)),
  bgrx8888: (frame, into) =>
    each(frame, 4, into, (p, at) => packColor(p[at + 2] as number, p[at + 1] as number, p[at] as number)),
};

function each(
  { pixels }: PixelFrame,
  bytes: number,
  into: Uint32Array,
  colorAt: (pixels: Uint8Array, at: number) => number,
): void {
  for (let i = 0, at = 0; i < into.length; i++, at += bytes) into[i] = colorAt(pixels, at);
}

export function drawPixels(frame: PixelFrame, into: Uint32Array): void {
  CONVERTERS[frame.format](frame, into);
}
