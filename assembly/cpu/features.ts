// The CPU model's feature bitmap (FEATURES in the vCPU block).
import { FEATURES } from "../../spec/layout";

/** True when the CPU model has a Feature. */
export function hasFeature(vcpu: i32, feature: u32): bool {
  return ((load<u32>(vcpu + <i32>((feature >> 5) << 2), FEATURES) >> (feature & 31)) & 1) != 0;
}
