// The hypercalls that the host answers (docs/HYPERCALLS.md), by number. Every argument is a guest's.
import {
  HC_BLOCK_FLUSH,
  HC_BLOCK_INFO,
  HC_BLOCK_READ,
  HC_BLOCK_WRITE,
  HC_CONSOLE_READ,
  HC_CONSOLE_WRITE,
  HC_EMPTY,
  HC_ENODEV,
  HC_ENOSYS,
  HC_EXIT,
  HC_MMU_PIN,
  HC_MMU_UNPIN,
  HC_MMU_UPDATE,
  HC_YIELD,
} from "../../spec/hypercalls.ts";
import type { HypercallBlock } from "../devices/hypercall-block.ts";
import type { HypercallConsole } from "../devices/hypercall-console.ts";
import type { MaybePromise } from "./block.ts";
import type { Core } from "./core.ts";

export interface HypercallParts {
  readonly core: Core;
  readonly vcpu: number;
  readonly console: HypercallConsole | undefined;
  readonly block: HypercallBlock | undefined;
  /** Ends the VM with this code. */
  readonly exit: (code: number) => void;
}

type Call = (ebx: number, ecx: number, edx: number, esi: number, edi: number) => MaybePromise<number>;

/** EAX for a call: 0 or more, or the negative of an error. */
export type Hypercalls = (nr: number, args: readonly number[]) => MaybePromise<number>;

export function hypercalls({ core, vcpu, console, block, exit }: HypercallParts): Hypercalls {
  const calls = new Map<number, Call>([
    [HC_EMPTY, () => 0],
    [HC_YIELD, () => 0],
    [HC_CONSOLE_WRITE, (address, count) => console?.write(address, count) ?? -HC_ENOSYS],
    [HC_CONSOLE_READ, (address, room) => console?.read(address, room) ?? -HC_ENOSYS],
    [
      HC_EXIT,
      (value) => {
        exit(((value << 1) | 1) >>> 0);
        return 0;
      },
    ],
    [HC_MMU_PIN, (root, levels) => core.pinRoot(vcpu, root, levels)],
    [HC_MMU_UNPIN, (root) => core.unpinRoot(vcpu, root)],
    [HC_MMU_UPDATE, (batch, count, size) => core.updateTables(vcpu, batch, count, size)],
    [HC_BLOCK_INFO, (drive, address) => block?.info(drive, address) ?? -HC_ENODEV],
    [HC_BLOCK_READ, (drive, address, low, count, high) => block?.read(drive, address, low, high, count) ?? -HC_ENODEV],
    [
      HC_BLOCK_WRITE,
      (drive, address, low, count, high) => block?.write(drive, address, low, high, count) ?? -HC_ENODEV,
    ],
    [HC_BLOCK_FLUSH, (drive) => block?.flush(drive) ?? -HC_ENODEV],
  ]);
  return (nr, [ebx = 0, ecx = 0, edx = 0, esi = 0, edi = 0]) => calls.get(nr)?.(ebx, ecx, edx, esi, edi) ?? -HC_ENOSYS;
}
