export function slowRead(vcpu: i32, lin: u32, size: u32): u32 { return 0; }
export function slowRead64(vcpu: i32, lin: u32): u64 { return 0; }
export function slowWrite(vcpu: i32, lin: u32, size: u32, value: u32): void {}
export function slowWrite64(vcpu: i32, lin: u32, value: u64): void {}
export function slowReadForUpdate(vcpu: i32, lin: u32, size: u32): u64 { return 0; }
export function sysReadSlow(vcpu: i32, lin: u32, size: u32): u64 { return 0; }
export function sysWriteSlow(vcpu: i32, lin: u32, size: u32, value: u64): void {}
