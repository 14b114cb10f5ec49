// A Debian package's files (deb(5)).
import { unpackPayload } from "../boot/payload.ts";
import { ArchiveError, readAr, readTar, type TarEntry } from "./archive.ts";
import type { CpioEntry } from "./cpio.ts";

/** No package that goes into an image unpacks to more. */
const MAX_DATA_BYTES = 2 ** 31 - 1;
/** The largest of Debian's is some 3 MB: the kernel's list of checksums. */
const MAX_CONTROL_BYTES = 64 << 20;

/** The tar archive with the package's files. Throws ArchiveError or VmError("bad-image"). */
export async function debDataTar(deb: Uint8Array): Promise<Uint8Array> {
  const members = readAr(deb);
  const version = members[0];
  if (version?.name !== "debian-binary") throw new ArchiveError("the ar archive is no Debian package");
  const data = members.find((member) => member.name.startsWith("data.tar"));
  if (!data) throw new ArchiveError("the Debian package has no data.tar member");
  if (data.name === "data.tar") return data.data;
  return await unpackPayload(data.data, data.name, { limitBytes: MAX_DATA_BYTES });
}

/** The paragraph that describes the package (deb-control(5)). Throws ArchiveError or VmError("bad-image"). */
export async function debControl(deb: Uint8Array): Promise<string> {
  const member = readAr(deb).find(({ name }) => name.startsWith("control.tar"));
  if (!member) throw new ArchiveError("the Debian package has no control.tar member");
  const tar =
    member.name === "control.tar"
      ? member.data
      : await unpackPayload(member.data, member.name, { limitBytes: MAX_CONTROL_BYTES });
  for (const entry of readTar(tar))
    if (entry.kind === "file" && entry.path === "control") return new TextDecoder().decode(entry.data).trimEnd();
  throw new ArchiveError("the Debian package has no control file");
}

/** The files of a data.tar that an initramfs should get, without what only people read. */
export function* debEntries(tar: Uint8Array, wanted: (path: string) => boolean = isRuntimeFile): Generator<CpioEntry> {
  const files = new Map<string, Extract<TarEntry, { kind: "file" }>>();
  for (const entry of readTar(tar)) {
    if (entry.kind === "file") files.set(entry.path, entry);
    if (!wanted(entry.path)) continue;
    if (entry.kind === "hardlink") {
      const original = files.get(entry.target);
      if (original) yield { ...original, path: entry.path };
    } else {
      yield entry;
    }
  }
}

const DOCUMENTATION = /^usr\/share\/(doc|man|info|locale|lintian|bug|doc-base|menu|applications|icons|pixmaps)(\/|$)/;

export const isRuntimeFile = (path: string): boolean => !DOCUMENTATION.test(path);
