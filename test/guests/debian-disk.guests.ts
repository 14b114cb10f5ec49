import { describeDebian } from "./debian-disk.ts";

describeDebian("virtio");
