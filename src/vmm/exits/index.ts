// The exit table: reason to name and handler. The order is that of spec/exits.ts.
import { EXIT_REASONS, Exit } from "../../../spec/exits.ts";
import { controlled } from "./controlled.ts";
import { debug } from "./debug.ts";
import { exception } from "./exception.ts";
import { ferr } from "./ferr.ts";
import { type ExitHandler, Next } from "./handler.ts";
import { hlt } from "./hlt.ts";
import { hypercall } from "./hypercall.ts";
import { kicked } from "./kicked.ts";
import { mmioRead, mmioWrite } from "./mmio.ts";
import { mmioFetch } from "./mmio-fetch.ts";
import { msrRead, msrWrite } from "./msr.ts";
import { portIn } from "./port-in.ts";
import { portOut } from "./port-out.ts";
import { reset } from "./reset.ts";
import { shutdown } from "./shutdown.ts";

/** Nothing to handle: the run loop itself looks at the clock and at requests. */
const look: ExitHandler = () => Next.Look;

const rows: readonly (readonly [Exit, string, ExitHandler])[] = [
  [Exit.Budget, "budget", look],
  [Exit.PortIn, "port-in", portIn],
  [Exit.PortOut, "port-out", portOut],
  [Exit.MmioRead, "mmio-read", mmioRead],
  [Exit.MmioWrite, "mmio-write", mmioWrite],
  [Exit.Hlt, "hlt", hlt],
  [Exit.Hypercall, "hypercall", hypercall],
  [Exit.InterruptWindow, "interrupt-window", controlled],
  [Exit.Shutdown, "shutdown", shutdown],
  [Exit.Debug, "debug", debug],
  [Exit.Kicked, "kicked", kicked],
  [Exit.Translate, "translate", look],
  [Exit.MsrRead, "msr-read", msrRead],
  [Exit.MsrWrite, "msr-write", msrWrite],
  [Exit.Exception, "exception", exception],
  [Exit.Cr3Load, "cr3-load", controlled],
  [Exit.Invlpg, "invlpg", controlled],
  [Exit.Rdtsc, "rdtsc", controlled],
  [Exit.Cpuid, "cpuid", controlled],
  [Exit.DescriptorAccess, "descriptor-access", controlled],
  [Exit.PageTableWrite, "page-table-write", controlled],
  [Exit.Ferr, "ferr", ferr],
  [Exit.MmioFetch, "mmio-fetch", mmioFetch],
  [Exit.Reset, "reset", reset],
  [Exit.Deadline, "deadline", look],
  [Exit.ShadowFill, "shadow-fill", controlled],
  [Exit.ShadowDirty, "shadow-dirty", controlled],
  [Exit.PageFault, "page-fault", controlled],
];

export const exitHandlers: readonly ExitHandler[] = rows.map(([, , handler]) => handler);
export const exitNames: readonly string[] = rows.map(([, name]) => name);

if (rows.length !== EXIT_REASONS || rows.some(([reason], i) => reason !== i)) {
  throw new Error("The exit table does not match spec/exits.ts.");
}
