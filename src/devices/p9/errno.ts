// Linux error numbers, as Rlerror carries them.
import { VmError } from "../../vmm/error.ts";

export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  ENAMETOOLONG: 36,
  ENOTEMPTY: 39,
  ELOOP: 40,
  EOPNOTSUPP: 95,
  EDQUOT: 122,
} as const;

/** Ends a request with an error of the guest's; never leaves the server. */
export class P9Error extends Error {
  constructor(readonly errno: number) {
    super(`errno ${errno}`);
  }
}

export function errnoOf(error: unknown): number {
  if (error instanceof P9Error) return error.errno;
  const name = error instanceof VmError ? error.details.errno : undefined;
  return (ERRNO as Record<string, number | undefined>)[String(name)] ?? ERRNO.EIO;
}
