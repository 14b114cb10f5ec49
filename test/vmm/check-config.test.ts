import { describe, expect, it } from "vitest";
import { checkConfig, toConfig } from "../../src/vmm/check-config.ts";
import type { VmConfig } from "../../src/vmm/config.ts";
import { VmError } from "../../src/vmm/error.ts";

const boot = { kind: "flat", image: Uint8Array.of(0xf4), address: 0x7c00 } as const;
const wrong = (config: unknown): VmError => {
  try {
    checkConfig(config as VmConfig);
  } catch (error) {
    if (error instanceof VmError) return error;
  }
  throw new Error("accepted");
};

const nic = { id: "a", backend: { send() {}, onReceive() {} }, model: "virtio" };

describe("configuration", () => {
  it("fills in the defaults", () => {
    expect(checkConfig({ boot })).toMatchObject({
      memoryBytes: 128 << 20,
      cpu: "max",
      clock: "real",
      psPerInstruction: 1000,
      clockSync: { mode: "hide-pauses", maxSlewPpm: 500_000, stepThresholdNs: 128e6 },
      paravirt: ["clock", "no-io-delay", "steal", "eoi", "console", "yield", "exit", "hc-clock", "block"],
      paging: "direct",
      controls: [],
      apic: true,
      acpi: true,
      serialPorts: 1,
      debugExitPort: 0xf4,
      onReset: "reboot",
      onTripleFault: "exit",
      postPort: 0x80,
      timeoutMs: undefined,
    });
  });

  it("presets of virtualization set defaults, and single settings win", () => {
    expect(checkConfig({ boot, virt: "full" })).toMatchObject({ paging: "shadow", paravirt: [] });
    expect(checkConfig({ boot, virt: "full" }).controls).toHaveLength(8);
    expect(checkConfig({ boot, virt: "full", apic: false }).controls).toHaveLength(7);
    expect(checkConfig({ boot, virt: "assisted" })).toMatchObject({ paging: "direct", controls: [], paravirt: [] });
    expect(checkConfig({ boot, virt: "para" }).paravirt).toContain("mmu");
    expect(
      checkConfig({ boot, virt: "full", paging: "direct", paravirt: ["clock"], controls: ["cpuid"] }),
    ).toMatchObject({
      paging: "direct",
      paravirt: ["clock"],
      controls: ["cpuid"],
    });
    expect(checkConfig({ boot, paging: "shadow" }).controls).toEqual(["cr3", "invlpg"]);
    expect(checkConfig({ boot, virt: "full", paravirt: "all" }).paravirt).not.toContain("mmu");
  });

  it.each([
    [undefined, "config"],
    [null, "config"],
    [{}, "boot"],
    [{ boot: { kind: "elf" } }, "boot.kernel"],
    [{ boot: { kind: "floppy" } }, "boot.kind"],
    [{ boot: { kind: "linux", kernel: "vmlinuz" } }, "boot.kernel"],
    [{ boot: { kind: "linux", kernel: Uint8Array.of(1), initrd: 5 } }, "boot.initrd"],
    [
      { boot: { kind: "multiboot", kernel: Uint8Array.of(1), modules: [{ image: 1, append: "" }] } },
      "boot.modules[0].image",
    ],
    [{ boot: { ...boot, address: -1 } }, "boot.address"],
    [{ boot: { ...boot, mode: "long" } }, "boot.mode"],
    [{ boot, memoryBytes: 1 }, "memoryBytes"],
    [{ boot, memoryBytes: Number.NaN }, "memoryBytes"],
    [{ boot, memoryBytes: 4 * 1024 ** 3 }, "memoryBytes"],
    [{ boot, memoryBytes: (1 << 20) + 1 }, "memoryBytes"],
    [{ boot, memoryBytes: "64M" }, "memoryBytes"],
    [{ boot, clock: "fast" }, "clock"],
    [{ boot, clockSync: "sundial" }, "clockSync"],
    [{ boot, clockSync: { mode: "sundial" } }, "clockSync.mode"],
    [{ boot, clockSync: { mode: "slew", maxSlewPpm: 1e6 } }, "clockSync.maxSlewPpm"],
    [{ boot, clockSync: { mode: "slew", stepThresholdMs: 0 } }, "clockSync.stepThresholdMs"],
    [{ boot, clockSync: { mode: "slew", drift: 1 } }, "clockSync.drift"],
    [{ boot, clockSync: "slew", clock: "virtual" }, "clockSync"],
    [{ boot, paravirt: "clock" }, "paravirt"],
    [{ boot, paravirt: ["clock", "async-page-fault"] }, "paravirt"],
    [{ boot, paravirt: ["eoi"], apic: false }, "paravirt"],
    [{ boot, paravirt: ["mmu"] }, "paravirt"],
    [{ boot, virt: "none" }, "virt"],
    [{ boot, paging: "nested" }, "paging"],
    [{ boot, controls: "cr3" }, "controls"],
    [{ boot, controls: ["cr3", "cr4"] }, "controls"],
    [{ boot, controls: ["apic"], apic: false }, "controls"],
    [{ boot, nsPerInstruction: 0 }, "nsPerInstruction"],
    [{ boot, nsPerInstruction: Number.POSITIVE_INFINITY }, "nsPerInstruction"],
    [{ boot, serialPorts: 5 }, "serialPorts"],
    [{ boot, debugExitPort: true }, "debugExitPort"],
    [{ boot, debugExitPort: 70000 }, "debugExitPort"],
    [{ boot, timeoutMs: 0 }, "timeoutMs"],
    [{ boot, wallSeconds: -5 }, "wallSeconds"],
    [{ boot, onReset: "halt" }, "onReset"],
    [{ boot, trace: ["ports"] }, "trace"],
    [{ boot, rng: 1 }, "rng"],
    [{ boot, balloon: { statisticsIntervalMs: -1 } }, "balloon.statisticsIntervalMs"],
    [{ boot, nics: [{ id: "a", backend: {}, model: "virtio" }] }, "nics[0].backend"],
    [{ boot, nics: [{ ...nic, mac: "03:00:00:00:00:01" }] }, "nics[0].mac"],
    [{ boot, nics: [nic, { ...nic, id: "b", mac: "02:70:76:00:00:01" }] }, "nics[1].mac"],
    [{ boot, nics: [nic, nic] }, "nics[1].id"],
    [{ boot, nics: [{ ...nic, mtu: 20 }] }, "nics[0].mtu"],
    [
      { boot, nics: [{ ...nic, receiveLimits: { bandwidth: { size: 0, refillMs: 1 } } }] },
      "nics[0].receiveLimits.bandwidth.size",
    ],
    [{ boot, consoles: [{ backend: {} }] }, "consoles[0].backend"],
    [{ boot, consoles: [{ backend: { write() {}, onInput() {} }, kind: "tty" }] }, "consoles[0].kind"],
    [{ boot, shares: [{ tag: "", tree: {} }] }, "shares[0].tag"],
    [{ boot, shares: [{ tag: "a", tree: {} }] }, "shares[0].tree"],
    [{ boot, vsock: { guestCid: 2, backend: { connect() {} } } }, "vsock.guestCid"],
    [{ boot, inputs: ["mouse", "mouse"] }, "inputs"],
    [{ boot, inputs: ["joystick"] }, "inputs"],
    [{ boot, signal: {} }, "signal"],
    [{ boot, core: new Uint8Array(8) }, "core"],
    [{ boot, memory: 64 }, "memory"],
  ])("refuses %j by name", (config, field) => {
    const error = wrong(config);
    expect(error.code).toBe("bad-config");
    expect(error.message.startsWith(`${field} `)).toBe(true);
    expect(error.message).toMatch(/accepted: /);
  });

  it.each([0, 1, 65535, 65537, 9 << 20])("refuses a firmware image of %i bytes", (size) => {
    expect(wrong({ boot: { kind: "firmware", image: new Uint8Array(size) } }).code).toBe("bad-image");
  });
});

describe("a checked configuration", () => {
  const backend = { send: () => {}, onReceive: () => ({ dispose: () => {} }) };
  const image = Uint8Array.of(0xf4);
  it.each<[string, Partial<VmConfig>]>([
    ["of defaults", {}],
    ["with a virtual clock", { clock: "virtual", nsPerInstruction: 0.5, wallSeconds: 5 }],
    ["without ports and controllers", { debugExitPort: false, apic: false, acpi: false, serialPorts: 0 }],
    ["with devices", { rng: true, balloon: { targetBytes: 4096 }, nics: [{ id: "net0", backend, model: "virtio" }] }],
    [
      "with an address of a card",
      { nics: [{ id: "n", backend, model: "virtio", mac: "02:00:00:00:00:0a", mtu: 9000 }] },
    ],
  ])("%s is one again that gives the same", (_, config) => {
    const checked = checkConfig({ boot: { kind: "flat", image, address: 0 }, ...config });
    expect(checkConfig(toConfig(checked))).toEqual(checked);
  });
});
