// Debian from a virtio disk, see debian-disk.ts.
import { beforeAll, it } from "vitest";
import { pullImage } from "../../src/images/node/index.ts";
import { BOOT_MS, bootDebian, PULL_MS } from "./debian-disk.ts";

beforeAll(() => pullImage("debian"), PULL_MS);

it("Debian on virtio boots to a login, works, and powers off", () => bootDebian("virtio"), BOOT_MS);
