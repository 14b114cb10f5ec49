// The chipset without a processor, as one Wasm module for its tests.
export * from "./pic";
export * from "./lapic";
export * from "./mmio";
export * from "./ioapic";
export * from "./lines";
export * from "./pending";
export * from "./ports";
export * from "../time/clock";
export * from "../time/pit";
export * from "../time/apictimer";
export * from "../time/deadline";
