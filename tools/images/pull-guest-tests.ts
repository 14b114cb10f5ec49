// Makes the image that the guest tests boot: Debian's kernel with programs that test themselves.
import { pullGuestImage } from "../../src/images/node/index.ts";

export const GUEST_TEST_IMAGE = "guest-tests";

const entry = await pullGuestImage(GUEST_TEST_IMAGE, {
  packages: ["stress-ng", "openssl", "7zip", "perl-base", "python3-minimal"],
  modules: ["virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "ext4"],
  force: process.argv.includes("--force"),
  onProgress: ({ phase }) => console.error(phase),
});
console.log(`${entry.name} ${(entry.sizeBytes / (1 << 20)).toFixed(1)} MiB ${entry.digest}`);
