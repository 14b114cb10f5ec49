// Boot images in shared memory: one copy for everybody who boots the same bytes.
import { describe, expect, it } from "vitest";
import { shareImages } from "../../src/boot/share-images.ts";
import type { BootSource } from "../../src/index.ts";

const linux = (fill: number, bytes = 4096): Extract<BootSource, { kind: "linux" }> => ({
  kind: "linux",
  kernel: new Uint8Array(bytes).fill(fill),
  initrd: new Uint8Array(bytes + 1).fill(fill),
});
const images = (boot: BootSource): readonly (Uint8Array | undefined)[] => {
  if (boot.kind !== "linux") throw new Error(boot.kind);
  return [boot.kernel, boot.initrd];
};

describe("shared boot images", () => {
  it("are copies in shared memory, and the same ones the next time", () => {
    const given = linux(1);
    const [kernel, initrd] = images(shareImages(given));
    expect(kernel?.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect([kernel, initrd]).toEqual([given.kernel, given.initrd]);
    expect(images(shareImages(given))[0]).toBe(kernel);
    expect(images(shareImages(shareImages(given)))[0]).toBe(kernel);
  });

  it("are one for images that were read twice, and others for other bytes", () => {
    const [kernel, initrd] = images(shareImages(linux(2)));
    const [again, initrdAgain] = images(shareImages(linux(2)));
    expect(again).toBe(kernel);
    expect(initrdAgain).toBe(initrd);
    const other = linux(2);
    other.kernel[4095] = 3;
    expect(images(shareImages(other))[0]).not.toBe(kernel);
    expect(images(shareImages(linux(2, 4000)))[0]).not.toBe(kernel);
  });
});
