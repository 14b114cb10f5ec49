// Checks how a configuration wants its VM virtualized: preset, paging, controls, paravirtual interfaces.
import { PARAVIRT_SWITCHES, type ParavirtName } from "../../spec/cpuid.ts";
import {
  CONTROLS,
  type ControlName,
  PAGING_KINDS,
  type PagingKind,
  SHADOW_CONTROLS,
  VIRT_PRESETS,
  type VirtKind,
} from "../../spec/virtualization.ts";
import { oneOf, refuse } from "./check-values.ts";
import type { VmConfig } from "./config.ts";

export interface CheckedVirtualization {
  readonly paging: PagingKind;
  readonly controls: readonly ControlName[];
  readonly paravirt: readonly ParavirtName[];
}

const KINDS = Object.keys(VIRT_PRESETS) as VirtKind[];
const PAGING = Object.keys(PAGING_KINDS) as PagingKind[];

/** Single settings win over the preset. Throws VmError("bad-config"). */
export function checkVirtualization(config: VmConfig, apic: boolean): CheckedVirtualization {
  const preset = config.virt === undefined ? undefined : VIRT_PRESETS[oneOf("virt", config.virt, KINDS)];
  const paging = oneOf("paging", config.paging ?? preset?.paging ?? "direct", PAGING);
  return {
    paging,
    controls: checkControls(
      config.controls ?? preset?.controls ?? (paging === "shadow" ? SHADOW_CONTROLS : []),
      apic,
      config.controls !== undefined,
    ),
    paravirt: checkParavirt(config.paravirt ?? preset?.paravirt, apic, paging),
  };
}

function checkControls(names: readonly ControlName[], apic: boolean, asked: boolean): readonly ControlName[] {
  const all = CONTROLS.map(({ name }) => name);
  if (!Array.isArray(names)) refuse("controls", names, `an array of: ${all.join(", ")}`);
  for (const name of names) oneOf("controls", name, all);
  if (apic || !names.includes("apic")) return names;
  if (asked) refuse("controls", "apic", all.filter((name) => name !== "apic").join(", "), "has apic (apic is false)");
  return names.filter((name) => name !== "apic");
}

const NO_APIC = "a local APIC (apic is false)";
const ONLY_BY_NAME = PARAVIRT_SWITCHES.flatMap(({ name, onlyByName }) => (onlyByName ? [name] : []));

function checkParavirt(names: VmConfig["paravirt"], apic: boolean, paging: PagingKind): readonly ParavirtName[] {
  const all = PARAVIRT_SWITCHES.map(({ name }) => name);
  const lacks: Partial<Record<ParavirtName, string>> = {
    ...(apic ? {} : { eoi: NO_APIC, "async-pf": NO_APIC }),
    ...(paging === "para" ? {} : { mmu: 'paging: "para"' }),
  };
  const possible = all.filter((name) => lacks[name] === undefined);
  if (names === undefined || names === "all") return possible.filter((name) => !ONLY_BY_NAME.includes(name));
  if (!Array.isArray(names)) refuse("paravirt", names, `"all", or an array of: ${all.join(", ")}`);
  for (const item of names) {
    const name = oneOf("paravirt", item, all);
    if (lacks[name] !== undefined)
      refuse("paravirt", name, possible.join(", "), `has ${name}, which needs ${lacks[name]}`);
  }
  return names;
}
