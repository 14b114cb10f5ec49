// Pages of guest RAM that a restored machine has not been given yet (src/vmm/absent-pages.ts). They never have a tag in any TLB, so
// only what goes past the TLBs asks here: fills of it, page walks, and structures that a guest has lent.
import { FILL_FAILED, FILL_MAY, FILL_MUST } from "../../spec/fill-page";
import { PAGE_ABSENT } from "../../spec/layout";
import { hostFillPage } from "../host";
import { pageFlagAddress } from "./physical";

// @ts-ignore: decorator
@inline
export function isAbsent(host: u32): bool {
  return (<u32>load<u8>(pageFlagAddress(host)) & PAGE_ABSENT) != 0;
}

/** Makes sure that the page at a Wasm address is there before its bytes are used. Does not return where it cannot be had. */
// @ts-ignore: decorator
@inline
export function bringPage(host: u32): void {
  if (isAbsent(host)) hostFillPage(host, FILL_MUST);
}

/** The same for `size` bytes, also outside runVcpu: false where one cannot be had. The host then ends the VM. */
export function bringRange(host: u32, size: u32): bool {
  const end = host + size;
  for (let page = host & ~0xfff; page < end; page += 0x1000) {
    if (isAbsent(page) && hostFillPage(page, FILL_MAY) == FILL_FAILED) return false;
  }
  return true;
}
