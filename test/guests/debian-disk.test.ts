import { describeDebian } from "./debian-disk.ts";

describeDebian("ide");
