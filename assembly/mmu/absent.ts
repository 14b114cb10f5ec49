// Pages of guest RAM that a restored machine has not been given yet (src/vmm/absent-pages.ts). They never have a tag in any TLB, so
// only what goes past the TLBs asks here: fills of it, page walks, and structures that a guest has lent.
import { PAGE_ABSENT } from "../../spec/layout";
import { hostFillPage } from "../host";
import { pageFlagAddress } from "./physical";

/** Makes sure that the page at a Wasm address is there before its bytes are used. Does not return where it cannot be had. */
// @ts-ignore: decorator
@inline
export function bringPage(host: u32): void {
  if (<u32>load<u8>(pageFlagAddress(host)) & PAGE_ABSENT) hostFillPage(host, true);
}

/** The same for `size` bytes, also outside runVcpu: false where one cannot be had. The host then ends the VM. */
export function bringRange(host: u32, size: u32): bool {
  const end = host + size;
  for (let page = host & ~0xfff; page < end; page += 0x1000) {
    if (<u32>load<u8>(pageFlagAddress(page)) & PAGE_ABSENT && !hostFillPage(page, false)) return false;
  }
  return true;
}
