// The core's import `fillPage(address, how)`: a page of guest RAM that a restored machine has not been given is needed
// (assembly/mmu/absent.ts asks, src/vmm/absent-pages.ts answers).

/** `how`: whoever asks can go on without it. */
export const FILL_MAY = 0;
/** Nobody can go on without it: the host throws where it cannot be had. */
export const FILL_MUST = 1;
/** As FILL_MUST; and the guest could do something else meanwhile, if it comes later. */
export const FILL_LATER = 2;

/** Answers: it cannot be had, and the host will end the VM; its bytes are there. */
export const FILL_FAILED = 0;
export const FILL_DONE = 1;
/** To FILL_LATER, this and up: it comes later, and this number will say that it has come. */
export const FILL_TOKEN = 2;
