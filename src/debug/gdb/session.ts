// One gdb, attached: answers its packets (gdb manual, appendix E.2). Addresses are linear; code breakpoints live in the
// vCPU and never change guest memory.
import type { MemoryWatch } from "../../vmm/debug-controls.ts";
import { VmError } from "../../vmm/error.ts";
import type { DebugStop } from "../../vmm/status.ts";
import { runDebugCommand } from "../commands.ts";
import type { Debugger, Stop } from "../debugger.ts";
import { bigIntToBytes, bytesToBigInt } from "../registers.ts";
import { G_PACKET_COUNT, GDB_REGISTERS, type GdbRegister, TARGET_XML } from "./target-description.ts";

const SIGINT = 2;
const SIGTRAP = 5;
const SIGABRT = 6;
/** Largest packet that we take and send, in bytes. */
const PACKET_SIZE = 0x4000;
/** Z2, Z3, Z4. */
const WATCH_TYPES: Readonly<Record<string, MemoryWatch["access"]>> = { "2": "write", "3": "read", "4": "any" };
const EINVAL = "E16";
const EFAULT = "E0e";

export interface SessionLink {
  /** Frames and sends. */
  send(text: string): void;
  /** Acknowledgements are off from now on. */
  stopAcknowledging(): void;
  close(): void;
}

export class GdbSession {
  #stopReply = `T${hexByte(SIGTRAP)}thread:1;`;
  /** Packets are answered in order; a running guest is the answer to come. */
  #queue: Promise<void> = Promise.resolve();

  constructor(
    private readonly debug: Debugger,
    private readonly link: SessionLink,
  ) {}

  handle(packet: Buffer): void {
    this.#queue = this.#queue.then(async () => {
      const reply = await this.#answer(packet.toString("latin1")).catch((error: unknown) => {
        if (error instanceof VmError) return error.code === "bad-config" ? "E1c" : EINVAL;
        throw error;
      });
      if (reply !== undefined) this.link.send(reply);
    });
    this.#queue.catch(() => this.link.close());
  }

  /** Resolves when every packet so far has its answer. */
  async settled(): Promise<void> {
    await this.#queue.catch(() => {});
  }

  /** Ctrl-C comes outside the order of packets: it is meant for the one that is being answered. */
  interrupt(): void {
    void this.debug.interrupt();
  }

  async #answer(packet: string): Promise<string | undefined> {
    const rest = packet.slice(1);
    switch (packet[0]) {
      case "?":
        return this.#stopReply;
      case "g":
        return GDB_REGISTERS.slice(0, G_PACKET_COUNT)
          .map((register) => this.#readRegister(register))
          .join("");
      case "G":
        return this.#writeRegisters(rest);
      case "p": {
        const register = GDB_REGISTERS[Number.parseInt(rest, 16)];
        return register ? this.#readRegister(register) : EINVAL;
      }
      case "P": {
        const [number = "", value = ""] = rest.split("=");
        const register = GDB_REGISTERS[Number.parseInt(number, 16)];
        if (!register) return EINVAL;
        this.#writeRegister(register, Buffer.from(value, "hex"));
        return "OK";
      }
      case "m": {
        const range = parseRange(rest);
        if (!range) return EINVAL;
        const bytes = this.debug.readLinear(range.address, Math.min(range.size, PACKET_SIZE / 2 - 2));
        return bytes.length === 0 && range.size > 0 ? EFAULT : Buffer.from(bytes).toString("hex");
      }
      case "M":
      case "X":
        return this.#writeMemory(packet);
      case "c":
      case "s":
        if (rest !== "") this.debug.set("eip", BigInt(`0x${rest}`));
        return this.#reportStop(packet[0] === "c" ? await this.debug.continue() : await this.debug.step());
      case "C":
      case "S":
        // With a signal to deliver: a machine has none.
        return this.#reportStop(packet[0] === "C" ? await this.debug.continue() : await this.debug.step());
      case "Z":
      case "z":
        return this.#breakpoint(packet[0] === "Z", rest);
      case "H":
      case "T":
        return "OK";
      case "D":
        this.debug.clear();
        this.link.send("OK");
        this.link.close();
        return undefined;
      case "k":
        this.link.close();
        await this.debug.target.stop();
        return undefined;
      case "v":
        return await this.#verbose(packet);
      case "q":
      case "Q":
        return await this.#query(packet);
      default:
        // An empty answer says that the packet is not known.
        return "";
    }
  }

  async #verbose(packet: string): Promise<string> {
    if (packet === "vCont?") return "vCont;c;C;s;S";
    if (packet.startsWith("vCont;")) {
      const action = packet[6];
      if (action === "c" || action === "C") return this.#reportStop(await this.debug.continue());
      if (action === "s" || action === "S") return this.#reportStop(await this.debug.step());
      return EINVAL;
    }
    return "";
  }

  async #query(packet: string): Promise<string | undefined> {
    const name = packet.split(/[:,;]/, 1)[0] ?? "";
    switch (name) {
      case "qSupported":
        return `PacketSize=${PACKET_SIZE.toString(16)};qXfer:features:read+;QStartNoAckMode+;vContSupported+;hwbreak+;swbreak+`;
      case "QStartNoAckMode":
        this.link.send("OK");
        this.link.stopAcknowledging();
        return undefined;
      case "qXfer": {
        const match = /^qXfer:features:read:target\.xml:([0-9a-f]+),([0-9a-f]+)$/.exec(packet);
        if (!match) return "E00";
        const [offset, size] = [Number.parseInt(match[1] ?? "", 16), Number.parseInt(match[2] ?? "", 16)];
        const piece = TARGET_XML.slice(offset, offset + size);
        return `${offset + size < TARGET_XML.length ? "m" : "l"}${piece}`;
      }
      case "qAttached":
        return "1";
      case "qC":
        return "QC1";
      case "qfThreadInfo":
        return "m1";
      case "qsThreadInfo":
        return "l";
      case "qThreadExtraInfo":
        return Buffer.from("vCPU 0").toString("hex");
      case "qSymbol":
        return "OK";
      case "qRcmd": {
        const line = Buffer.from(packet.slice("qRcmd,".length), "hex").toString();
        const { output } = await runDebugCommand(this.debug, line);
        return output === "" ? "OK" : Buffer.from(`${output}\n`).toString("hex");
      }
      default:
        return "";
    }
  }

  #reportStop(stop: Stop): string {
    const watch = stop.kind === "stopped" && stop.stop.reason === "watch" ? this.debug.watchOf(stop.stop) : undefined;
    this.#stopReply = stopReply(stop, watch);
    return this.#stopReply;
  }

  #readRegister(register: GdbRegister): string {
    return Buffer.from(
      bigIntToBytes(register.read(this.debug.target.vcpu(this.debug.index)), register.bits / 8),
    ).toString("hex");
  }

  #writeRegister(register: GdbRegister, bytes: Uint8Array): void {
    register.write(this.debug.target.vcpu(this.debug.index), bytesToBigInt(bytes));
  }

  #writeRegisters(hex: string): string {
    const bytes = Buffer.from(hex, "hex");
    let at = 0;
    for (const register of GDB_REGISTERS.slice(0, G_PACKET_COUNT)) {
      const size = register.bits / 8;
      if (at + size > bytes.length) break;
      this.#writeRegister(register, bytes.subarray(at, at + size));
      at += size;
    }
    return "OK";
  }

  /** M address,length:hex or X address,length:binary */
  #writeMemory(packet: string): string {
    const colon = packet.indexOf(":");
    const range = colon < 0 ? undefined : parseRange(packet.slice(1, colon));
    if (!range) return EINVAL;
    const data = packet.slice(colon + 1);
    const bytes = packet[0] === "M" ? Buffer.from(data, "hex") : Buffer.from(data, "latin1");
    if (bytes.length !== range.size) return EINVAL;
    return this.debug.writeLinear(range.address, bytes) === bytes.length ? "OK" : EFAULT;
  }

  #breakpoint(insert: boolean, rest: string): string {
    const [type = "", address = "", kind = ""] = rest.split(",");
    const linear = Number.parseInt(address, 16);
    if (Number.isNaN(linear)) return "";
    // 0 software and 1 hardware are the same here: guest memory is never changed
    if (type === "0" || type === "1") {
      if (insert) this.debug.addBreakpoint(linear);
      else this.debug.removeBreakpoint(linear);
      return "OK";
    }
    const access = WATCH_TYPES[type];
    if (access === undefined) return "";
    const watch = { address: linear, sizeBytes: Number.parseInt(kind, 16), access };
    if (insert) this.debug.watchMemory(watch);
    else this.debug.unwatchMemory(watch);
    return "OK";
  }
}

/** How a stop looks to gdb. */
export function stopReply(stop: Stop, watch?: MemoryWatch): string {
  switch (stop.kind) {
    case "interrupted":
      return `T${hexByte(SIGINT)}thread:1;`;
    case "ended":
      // A guest's own code as exit code; a machine that failed as a process ended by a signal.
      if (stop.status.kind === "guest-exit") return `W${hexByte(stop.status.code)}`;
      return stop.status.kind === "triple-fault" || stop.status.kind === "crashed" ? `X${hexByte(SIGABRT)}` : "W00";
    case "stopped":
      return `T${hexByte(SIGTRAP)}thread:1;${stopReason(stop.stop, watch)}`;
  }
}

function stopReason({ reason, number = 0 }: DebugStop, watch: MemoryWatch | undefined): string {
  if (reason === "breakpoint") return "hwbreak:;";
  if (watch === undefined) return "";
  const word = { write: "watch", read: "rwatch", any: "awatch" }[watch.access];
  // gdb looks the watch up by an address inside it; the access may begin before it
  return `${word}:${Math.max(number, watch.address).toString(16)};`;
}

function parseRange(text: string): { address: number; size: number } | undefined {
  const match = /^([0-9a-f]+),([0-9a-f]+)$/i.exec(text);
  if (!match) return undefined;
  return { address: Number.parseInt(match[1] ?? "", 16) >>> 0, size: Number.parseInt(match[2] ?? "", 16) };
}

function hexByte(value: number): string {
  return (value & 0xff).toString(16).padStart(2, "0");
}
