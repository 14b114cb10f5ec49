// Classic figures of others, for orientation: other hardware, other hypervisors, other guests.

export interface PublishedTable {
  readonly title: string;
  readonly source: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

export const PUBLISHED: readonly PublishedTable[] = [
  {
    title: "Nanobenchmarks, cycles",
    source: "Adams and Agesen, A Comparison of Software and Hardware Techniques for x86 Virtualization, ASPLOS 2006",
    header: ["operation", "native", "software VMM", "first hardware VMM"],
    rows: [
      ["system call (int 80h)", 3209, 214, 15826],
      ["call and return", 11, 51, 11],
      ["page fault", 1093, 3927, 11242],
      ["divide by zero", 889, 3223, 1014],
      ["page-table modification", 1, 391, 12733],
    ],
  },
  {
    title: "Programs, seconds",
    source: "the same",
    header: ["program", "native", "software VMM", "first hardware VMM"],
    rows: [
      ["forkwait, 40,000 times", 6.0, 36.9, 106.4],
      ["kernel build", 265, 393, 484],
    ],
  },
  {
    title: "Kernel build, seconds, and TCP transmit with an MTU of 500, Mb/s",
    source: "Barham et al., Xen and the Art of Virtualization, SOSP 2003",
    header: ["", "native Linux", "Xen", "VMware", "user-mode Linux"],
    rows: [
      ["kernel build, s", 263, 271, 334, 535],
      ["TCP transmit, Mb/s", 602, 516, 101, 61],
    ],
  },
  {
    title: "Context switch, microseconds",
    source: "KVM's paravirtual CR3 cache, 2007",
    header: ["", "native", "QEMU", "KVM", "KVM with PV"],
    rows: [["context switch, us", 1.11, 61.2, 6.36, 1.6]],
  },
];

/** Which of our operations asks the same question as a row above. */
export const COUNTERPARTS: Readonly<Record<string, string>> = {
  "system call (int 80h)": "syscall-int80",
  "call and return": "call-return",
  "page fault": "page-fault",
  "divide by zero": "divide-error",
  "page-table modification": "pte-1",
  "forkwait, 40,000 times": "fork-wait",
  "context switch, us": "context-switch",
};
