import { describe, expect, it } from "vitest";
import {
  didYouMean,
  editDistance,
  parseAddress,
  parseChoice,
  parseDuration,
  parseMemory,
  parsePattern,
  parsePort,
  UsageError,
} from "../../src/cli/values.ts";

const MIB = 1024 * 1024;

describe("option values", () => {
  it.each([
    ["1", MIB],
    ["64", 64 * MIB],
    ["64M", 64 * MIB],
    ["64MiB", 64 * MIB],
    ["64mb", 64 * MIB],
    ["1G", 1024 * MIB],
    ["1.5g", 1536 * MIB],
    ["3G", 3072 * MIB],
    ["2048k", 2 * MIB],
    ["1048576b", MIB],
    ["size=256M", 256 * MIB],
  ])("memory %s is %d bytes", (text, bytes) => {
    expect(parseMemory(text)).toBe(bytes);
  });

  it.each(["", "M", "0", "-64", "3.1G", "4G", "1023k", "1.0001M", "1e3", "64X", "64 M B", "NaN"])(
    "memory %j is refused with what would be accepted",
    (text) => {
      expect(() => parseMemory(text)).toThrow(UsageError);
      expect(() => parseMemory(text)).toThrow(/^--memory: .*give a size from 1M to 3G/);
    },
  );

  it.each([
    ["30", 30_000],
    ["0.5", 500],
    ["200ms", 200],
    ["2s", 2000],
    ["1.5m", 90_000],
    ["1h", 3_600_000],
  ])("time %s is %d ms", (text, ms) => {
    expect(parseDuration(text, "--timeout")).toBe(ms);
  });

  it.each(["", "0", "-1", "1d", "soon", "1e9", "Infinity"])("time %j is refused", (text) => {
    expect(() => parseDuration(text, "--timeout")).toThrow(/^--timeout: ".*" is not a time/);
  });

  it("reads ports and addresses in decimal and hexadecimal, within range", () => {
    expect(parsePort("0x80", "--post-port")).toBe(0x80);
    expect(parsePort("65535", "--post-port")).toBe(65535);
    expect(() => parsePort("0x10000", "--post-port")).toThrow(
      /^--post-port: "0x10000" is not a whole number from 0x0 to 0xffff/,
    );
    expect(() => parsePort("80h", "--post-port")).toThrow(UsageError);
    expect(parseAddress("0xFFFFFFFF", "--load")).toBe(0xffffffff);
    expect(() => parseAddress("0x100000000", "--load")).toThrow(UsageError);
  });

  it("reads patterns bare and between slashes, and refuses empty and broken ones", () => {
    expect(parsePattern("lo.in:", "--until")).toEqual(/lo.in:/);
    expect(parsePattern("/OK/i", "--until").test("ok")).toBe(true);
    expect(parsePattern("/ # $", "--until").test("/ # ")).toBe(true);
    expect(() => parsePattern("", "--until")).toThrow(/empty/);
    expect(() => parsePattern("(", "--until")).toThrow(/^--until: not a regular expression: /);
  });

  it("suggests the nearest of a list, and nothing when all are far", () => {
    expect(() => parseChoice("virtaul", "--clock", ["real", "virtual"])).toThrow(
      '--clock: "virtaul" is not one of real, virtual (did you mean virtual?)',
    );
    expect(didYouMean("zzzzzz", ["real", "virtual"])).toBe("");
    expect(didYouMean("lunix", ["linux", "linux-tiny"])).toBe(" (did you mean linux?)");
  });

  it("counts a transposition as one edit", () => {
    expect(editDistance("abcd", "abdc")).toBe(1);
    expect(editDistance("", "abc")).toBe(3);
    expect(editDistance("kitten", "sitting")).toBe(3);
  });
});
