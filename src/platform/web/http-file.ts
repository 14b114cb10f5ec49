// A file of a web server as random-access storage: pieces by Range requests, or all of it where the server knows none.
import { blobFile, PieceFile } from "../../backends/block/piece-file.ts";
import { VmError } from "../../vmm/error.ts";

/** Throws VmError("not-found" | "host") naming the address. */
export async function openHttpFile(address: string): Promise<PieceFile> {
  const url = addressOf(address);
  const first = await ask(url, "bytes=0-0");
  if (first.status !== 206) return blobFile(await first.blob(), url);
  await first.arrayBuffer();
  const size = Number(/\/(\d+)$/.exec(first.headers.get("content-range") ?? "")?.[1]);
  if (!Number.isSafeInteger(size))
    throw new VmError("host", `${url} does not say how large it is (Content-Range).`, { url });
  return new PieceFile(url, size, async (start, end) => {
    const piece = await ask(url, `bytes=${start}-${end - 1}`);
    if (piece.status !== 206) throw new Error(`status ${piece.status}`);
    return new Uint8Array(await piece.arrayBuffer());
  });
}

function addressOf(address: string): string {
  try {
    return new URL(address, location.href).href;
  } catch (cause) {
    throw new VmError(
      "bad-config",
      `"${address}" is no web address; a page opens disks by a URL, or by a blob beside the path.`,
      { address },
      { cause },
    );
  }
}

async function ask(url: string, range: string): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { headers: { range } });
  } catch (cause) {
    throw new VmError("host", `${url} cannot be fetched.`, { url }, { cause });
  }
  if (!response.ok) {
    const code = response.status === 404 ? "not-found" : "host";
    throw new VmError(code, `${url} answered ${response.status}.`, { url, status: response.status });
  }
  return response;
}
