// Operations as people read them, in groups. One that is not here is shown by its name alone.

export interface OperationGroup {
  readonly title: string;
  readonly operations: Readonly<Record<string, string>>;
}

const SIZES = ["4k", "16k", "64k", "128k"];
const sized = (name: string, title: string): Record<string, string> =>
  Object.fromEntries(SIZES.map((size) => [`${name}-${size}`, `${title}, ${size.replace("k", " KiB")}`]));

/** Of the benchmark kernel. */
export const OPERATION_GROUPS: readonly OperationGroup[] = [
  {
    title: "Processor and hypercalls",
    operations: {
      loop: "empty loop (control)",
      "call-return": "call and return",
      cpuid: "CPUID",
      "port-out": "port out",
      "port-in": "port in",
      "pic-mask": "8259 mask",
      "tpr-write": "APIC TPR write",
      "hypercall-core": "empty hypercall, answered by the core",
      "hypercall-host": "empty hypercall, answered by the host",
    },
  },
  {
    title: "Page tables",
    operations: {
      "cr3-load": "CR3 load",
      invlpg: "INVLPG",
      "pte-1": "page-table entry, one by one",
      "pte-8": "page-table entry, 8 a batch",
      "pte-64": "page-table entry, 64 a batch",
      "pte-touch-64": "page-table entry, 64 a batch, then used",
    },
  },
  {
    title: "User programs",
    operations: {
      "syscall-int80": "system call, INT 80h",
      "syscall-sysenter": "system call, SYSENTER",
      "divide-error": "divide error",
      "page-fault": "page fault",
      "fork-wait": "fork and wait",
      "context-switch": "context switch",
    },
  },
  {
    title: "Interrupts",
    operations: {
      "ipi-self": "IPI to self",
      "interrupt-eoi": "device interrupt to EOI",
      "timer-interrupt": "timer set and taken",
      "hlt-wakeup": "HLT, woken by a timer after 2 ms",
    },
  },
  {
    title: "Clocks",
    operations: {
      clock: "the kernel's clock",
      "clock-tsc": "TSC",
      "clock-kvm": "kvm-clock",
      "clock-hypercall": "clock hypercall",
      "clock-pm": "PM timer",
      "clock-hpet": "HPET",
      "clock-pit": "8254",
      "clock-rtc": "CMOS clock",
    },
  },
  {
    title: "Disk",
    operations: {
      ...sized("block-read-seq", "read in a row"),
      ...sized("block-read-rand", "read at random"),
      ...sized("block-write-seq", "write in a row"),
      ...sized("block-write-rand", "write at random"),
      ...sized("block-pio-read", "read by programmed I/O"),
      ...sized("block-pio-write", "write by programmed I/O"),
      ...sized("block-call-read", "read by hypercall"),
      ...sized("block-call-write", "write by hypercall"),
    },
  },
  {
    title: "Network",
    operations: {
      "net-send-64": "frame of 64 bytes sent",
      "net-send-1500": "frame of 1514 bytes sent",
      "net-echo-64": "frame of 64 bytes there and back",
      "net-echo-1500": "frame of 1514 bytes there and back",
    },
  },
  {
    title: "Console",
    operations: {
      "console-line": "line of 80 bytes",
      "console-byte": "single byte",
      "console-call-line": "line of 80 bytes by hypercall",
      "console-call-byte": "single byte by hypercall",
    },
  },
];

/** Of Linux guests (roms/measure). */
export const LINUX_GROUPS: readonly OperationGroup[] = [
  {
    title: "Linux: boot and programs",
    operations: {
      "linux-boot": "power-on to init",
      "linux-gzip": "gzip of 512 KiB (control)",
      "linux-tar": "tar of 100 files",
    },
  },
  {
    title: "Linux: kernel",
    operations: {
      "linux-syscall": "getppid",
      "linux-page-fault": "page fault",
      "linux-pipe": "pipe, a byte there and back",
      "linux-fork": "fork, exit, wait",
      "linux-exec": "fork, exec, wait",
    },
  },
  {
    title: "Linux: clock_gettime",
    operations: {
      "linux-clock-tsc": "by the TSC",
      "linux-clock-kvm-clock": "by kvm-clock",
      "linux-clock-hpet": "by the HPET",
      "linux-clock-acpi_pm": "by the PM timer",
      "linux-clock-pit": "by the 8254",
      "linux-clock-refined-jiffies": "by jiffies",
      "linux-clock-jiffies": "by jiffies",
    },
  },
  {
    title: "Linux: devices",
    operations: {
      "disk-read-rand-4k": "disk read, 4 KiB at random",
      "disk-write-rand-4k": "disk write, 4 KiB at random",
      "disk-read-seq-128k": "disk read, 128 KiB in a row",
      "disk-write-seq-128k": "disk write, 128 KiB in a row",
      "net-send-1500": "frame of 1514 bytes sent",
      "net-echo-64": "frame of 64 bytes there and back",
      "net-echo-1500": "frame of 1514 bytes there and back",
      "console-line": "line of 80 bytes",
    },
  },
];

const ALL: Readonly<Record<string, string>> = Object.assign(
  {},
  ...[...OPERATION_GROUPS, ...LINUX_GROUPS].map((group) => group.operations),
);

export function titleOf(operation: string): string {
  return ALL[operation] ?? operation;
}

/** The groups that have something measured, and a last one for what nobody has put into a group. */
export function grouped<T extends { readonly operation: string }>(
  results: readonly T[],
): { readonly title: string; readonly results: readonly T[] }[] {
  const isLinux = results.some(({ operation }) => operation.startsWith("linux-"));
  const groups = (isLinux ? LINUX_GROUPS : OPERATION_GROUPS).map(({ title, operations }) => ({
    title,
    results: results.filter(({ operation }) => operation in operations),
  }));
  groups.push({
    title: "Others",
    results: results.filter(
      ({ operation }) => !groups.some((group) => group.results.some((r) => r.operation === operation)),
    ),
  });
  return groups.filter((group) => group.results.length > 0);
}
