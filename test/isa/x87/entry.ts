// Entry of the Wasm module that the x87 tests run: the family's dispatcher and nothing else of the machine.
export { execX87 } from "../../../assembly/isa/x87/exec";
