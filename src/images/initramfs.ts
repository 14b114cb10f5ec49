// Puts together the root file system of our Linux images: busybox with a link for each of its commands, our init,
// and whatever files, packages and modules the caller adds.
import { type CpioEntry, withParents, writeCpio } from "./cpio.ts";
import { DHCP_SCRIPT, INIT_SCRIPT, PROFILE } from "./init.ts";

const encoder = new TextEncoder();

export interface InitramfsOptions {
  /** A statically linked busybox for the guest's architecture. */
  readonly busybox: Uint8Array;
  /** More files, after (and over) the base system. */
  readonly entries?: readonly CpioEntry[];
  /** Modules that init loads before anything else, by name; their files and modules.dep must be in `entries`. */
  readonly autoloadModules?: readonly string[];
}

/** The uncompressed newc archive. */
export function buildInitramfs(options: InitramfsOptions): Uint8Array {
  const text = (path: string, content: string, permissions = 0o644): CpioEntry => ({
    kind: "file",
    path,
    data: encoder.encode(content),
    permissions,
  });
  const directory = (path: string, permissions = 0o755): CpioEntry => ({ kind: "directory", path, permissions });
  const entries: CpioEntry[] = [
    ...["bin", "sbin", "dev", "proc", "sys", "etc", "mnt", "run", "usr", "usr/bin", "usr/sbin", "var", "lib"].map(
      (path) => directory(path),
    ),
    directory("root", 0o700),
    directory("tmp", 0o1777),
    // The kernel opens /dev/console for init before init can mount devtmpfs.
    { kind: "character-device", path: "dev/console", major: 5, minor: 1 },
    { kind: "character-device", path: "dev/null", major: 1, minor: 3, permissions: 0o666 },
    text("init", INIT_SCRIPT, 0o755),
    text("etc/udhcpc.script", DHCP_SCRIPT, 0o755),
    text("etc/profile", PROFILE),
    text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"),
    text("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    text("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    { kind: "file", path: "bin/busybox", data: options.busybox, permissions: 0o755 },
    ...busyboxApplets(options.busybox).map(
      (applet): CpioEntry => ({ kind: "symlink", path: `bin/${applet}`, target: "busybox" }),
    ),
  ];
  if (options.autoloadModules?.length) {
    entries.push(text("etc/paravane/modules", `${options.autoloadModules.join("\n")}\n`));
  }
  entries.push(...(options.entries ?? []));
  return writeCpio(withParents(entries));
}

/**
 * An initrd with more files laid over it: the kernel unpacks archives that follow each other, compressed or not, and
 * later files replace earlier ones.
 */
export function overlayInitrd(initrd: Uint8Array, entries: Iterable<CpioEntry>): Uint8Array {
  const overlay = writeCpio(withParents(entries));
  // The kernel skips zero bytes between archives, and wants an uncompressed one to begin on a multiple of 4.
  const start = (initrd.length + 3) & ~3;
  const whole = new Uint8Array(start + overlay.length);
  whole.set(initrd);
  whole.set(overlay, start);
  return whole;
}

/**
 * The names that a busybox binary answers to. It keeps them as one sorted table of NUL-ended strings that begins with
 * "[" and "[[", so the table can be read without running a program of another architecture.
 */
export function busyboxApplets(busybox: Uint8Array): string[] {
  const start = findBytes(busybox, encoder.encode("[\0[[\0"));
  if (start < 0) throw new RangeError("this busybox has no table of applet names; is it the busybox-static package's?");
  const names: string[] = [];
  let name = "";
  for (let at = start; at < busybox.length; at++) {
    const byte = busybox[at] as number;
    if (byte !== 0) {
      name += String.fromCharCode(byte);
      continue;
    }
    // An empty or smaller string is past the table's end.
    const previous = names.at(-1);
    if (name === "" || !/^[-\w.[]+$/.test(name) || (previous !== undefined && name <= previous)) break;
    names.push(name);
    name = "";
  }
  return names.filter((applet) => applet !== "busybox");
}

function findBytes(haystack: Uint8Array, needle: Uint8Array): number {
  const first = needle[0] as number;
  for (let at = haystack.indexOf(first); at >= 0; at = haystack.indexOf(first, at + 1)) {
    if (needle.every((byte, index) => haystack[at + index] === byte)) return at;
  }
  return -1;
}
