// Everything of the chipset that the tests drive, as one Wasm module.

export * from "../../assembly/irq/ioapic";
export * from "../../assembly/irq/lapic";
export * from "../../assembly/irq/lines";
export * from "../../assembly/irq/mmio";
export * from "../../assembly/irq/pending";
export * from "../../assembly/irq/pic";
export * from "../../assembly/irq/ports";
export * from "../../assembly/time/apictimer";
export * from "../../assembly/time/clock";
export * from "../../assembly/time/deadline";
export * from "../../assembly/time/pit";
