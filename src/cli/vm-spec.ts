// Reads what a VM specification names: ROMs, images and files of this machine.
import { givenLimits } from "../api/limit-fields.ts";
import { nicOfSpec } from "../api/network-fields.ts";
import { driveOfSpec, type VmSpec } from "../api/vm-spec.ts";
import type { HostedVmConfig } from "../host/host.ts";
import { ramOf } from "../host/resources/run-claims.ts";
import type { BootDevice } from "../vmm/config.ts";
import { VmError } from "../vmm/error.ts";
import { parseBootOrder } from "./drives.ts";
import { resolveGuest } from "./guest.ts";
import type { Progress } from "./progress.ts";
import { UsageError } from "./values.ts";

/** Throws VmError("bad-config" | "not-found" | "bad-image"). */
export async function resolveVmSpec(spec: VmSpec, progress: Progress): Promise<HostedVmConfig> {
  const {
    name,
    guest,
    kernel,
    initrd,
    append,
    bios,
    overlay,
    boot,
    memoryMib,
    scheduling,
    resources,
    pcpu,
    drives,
    nics,
    limits,
    ...machine
  } = spec;
  const given = Object.entries({ guest, kernel, bios }).filter(([, value]) => value !== undefined);
  if (given.length > 1) {
    const fields = given.map(([field]) => field).join(" and ");
    throw new VmError("bad-config", `${fields} both say what to boot; give one of them`, { field: given[1]?.[0] });
  }
  const cards = (nics ?? []).map((nic, i) => nicOfSpec(nic, `net${i}`, `nics[${i}]`));
  const bootOrder = boot === undefined ? undefined : bootOrderOf(boot);
  let resolved: Awaited<ReturnType<typeof resolveGuest>>;
  try {
    resolved = await resolveGuest(
      {
        guest,
        kernel,
        initrd,
        append,
        bios,
        modules: [],
        as: undefined,
        loadAddress: undefined,
        entry: undefined,
        guestDecompress: false,
        fromDisk: (drives ?? []).length > 0,
        display: machine.display,
        virt: machine.virt,
        overlay,
        nics: cards,
        bootOrder,
      },
      progress,
    );
  } catch (error) {
    if (error instanceof UsageError) throw new VmError("bad-config", error.message, {}, { cause: error });
    throw error;
  }
  const memoryBytes = memoryMib === undefined ? ramOf("resources", resources) : memoryMib * 2 ** 20;
  const allDrives = [...(resolved.drives ?? []), ...(drives ?? []).map((drive, i) => driveOfSpec(drive, `drive${i}`))];
  return {
    ...resolved.defaults,
    ...defined(machine),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(resources === undefined ? {} : { resources }),
    ...(name === undefined ? {} : { name }),
    ...(scheduling === undefined ? {} : { scheduling: defined(scheduling) }),
    ...(pcpu === undefined ? {} : { pcpu }),
    ...(nics === undefined ? {} : { nics: resolved.nics ?? cards }),
    ...(bootOrder === undefined ? {} : { bootOrder }),
    ...(allDrives.length === 0 ? {} : { drives: allDrives }),
    ...(limits === undefined ? {} : { limits: givenLimits(limits) }),
    boot: resolved.boot,
  };
}

function bootOrderOf(text: string): readonly BootDevice[] {
  try {
    return parseBootOrder(text);
  } catch (cause) {
    throw new VmError("bad-config", (cause as Error).message.replace("--boot", "boot"), { field: "boot" }, { cause });
  }
}

/** Fields that were given: what is left out takes the machine's own default. */
function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
