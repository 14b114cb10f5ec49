import { Next } from "./handler.ts";

/** HLT with nothing to deliver: the run loop sleeps, or skips virtual time, to the next deadline. */
export function hlt(): Next {
  return Next.Idle;
}
