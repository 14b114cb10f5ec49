// Classic figures of others, for orientation: other hardware, other hypervisors, other guests.

/** What a row of others stands beside: our operations that ask the same, the first one measured, and how many the row is about. */
export interface Counterpart {
  readonly operations: readonly string[];
  /** Default 1. */
  readonly times?: number;
}

export interface PublishedRow {
  readonly name: string;
  /** One a column of the table's header. */
  readonly figures: readonly number[];
  readonly ours?: Counterpart;
}

export interface PublishedTable {
  readonly title: string;
  readonly source: string;
  readonly header: readonly string[];
  /** In which ours are shown; theirs are in what the title says. */
  readonly oursUnit: "ns" | "us" | "s";
  readonly rows: readonly PublishedRow[];
}

export const PUBLISHED: readonly PublishedTable[] = [
  {
    title: "Nanobenchmarks, cycles",
    source: "Adams and Agesen, A Comparison of Software and Hardware Techniques for x86 Virtualization, ASPLOS 2006",
    header: ["operation", "native", "software VMM", "first hardware VMM"],
    oursUnit: "ns",
    rows: [
      { name: "port in (IN from port 80h)", figures: [3209, 214, 15826], ours: { operations: ["port-in"] } },
      { name: "call and return", figures: [11, 51, 11], ours: { operations: ["call-return"] } },
      { name: "page fault", figures: [1093, 3927, 11242], ours: { operations: ["page-fault", "linux-page-fault"] } },
      { name: "divide by zero", figures: [889, 3223, 1014], ours: { operations: ["divide-error"] } },
      { name: "page-table modification", figures: [1, 391, 12733], ours: { operations: ["pte-1"] } },
    ],
  },
  {
    title: "Programs, seconds",
    source: "the same",
    header: ["program", "native", "software VMM", "first hardware VMM"],
    oursUnit: "s",
    rows: [
      {
        name: "forkwait, 40,000 times",
        figures: [6.0, 36.9, 106.4],
        ours: { operations: ["fork-wait", "linux-fork"], times: 40_000 },
      },
      { name: "kernel build", figures: [265, 393, 484] },
    ],
  },
  {
    title: "Kernel build, seconds, and TCP transmit with an MTU of 500, Mb/s",
    source: "Barham et al., Xen and the Art of Virtualization, SOSP 2003",
    header: ["", "native Linux", "Xen", "VMware", "user-mode Linux"],
    oursUnit: "s",
    rows: [
      { name: "kernel build, s", figures: [263, 271, 334, 535] },
      { name: "TCP transmit, Mb/s", figures: [602, 516, 101, 61] },
    ],
  },
  {
    title: "Context switch, microseconds",
    source: "KVM's paravirtual CR3 cache, 2007",
    header: ["", "native", "QEMU", "KVM", "KVM with PV"],
    oursUnit: "us",
    rows: [{ name: "context switch", figures: [1.11, 61.2, 6.36, 1.6], ours: { operations: ["context-switch"] } }],
  },
];
