// Register scripts for the I/O APIC. QEMU 7.2's is version 20h (ours 11h, as in the 82093AA), so the version is not read.
const SEL = "fec00000";
const WIN = "fec00010";
const read = (index: number) => [`wr ${SEL} ${index.toString(16)}`, `rd ${SEL}`, `rd ${WIN}`];
const write = (index: number, value: string) => [`wr ${SEL} ${index.toString(16)}`, `wr ${WIN} ${value}`];

export const IOAPIC_SCRIPTS: Record<string, string[]> = {
  "I/O APIC: power-on values": [0, 2, 0x10, 0x11, 0x2e, 0x3e, 0x3f].flatMap(read),
  "I/O APIC: identification": [
    ...write(0, "0f000000"),
    ...read(0),
    ...read(2),
    ...write(0, "05000000"),
    ...read(0),
    ...read(2),
  ],
  "I/O APIC: redirection entries keep their writable bits": [
    ...write(0x12, "1afff"),
    ...read(0x12),
    ...write(0x12, "15000"),
    ...read(0x12),
    ...write(0x13, "ff000000"),
    ...read(0x13),
    ...write(0x3e, "108ff"),
    ...read(0x3e),
    ...write(0x3f, "01000000"),
    ...read(0x3f),
  ],
};
