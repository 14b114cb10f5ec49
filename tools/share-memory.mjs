// The same module for shared memory: only the import of the memory differs (WebAssembly core specification 5.3.7, limits;
// threads proposal: flag 2 = shared, which wants a maximum). One compilation serves both builds.

const SECTION_IMPORT = 2;
const KIND_MEMORY = 2;
/** Flags of limits: with a maximum, shared. */
const HAS_MAXIMUM = 1;
const SHARED = 2;
/** 4 GiB in pages of 64 KiB: any memory that can be made matches. */
const MAXIMUM_PAGES = 65536;

/** @param {Uint8Array} module imports exactly one memory, and nothing before it but functions. */
export function shareMemory(module) {
  let at = 8;
  while (at < module.length) {
    const id = module[at];
    const size = readLeb(module, at + 1);
    const start = size.next;
    const end = start + size.value;
    if (id === SECTION_IMPORT) {
      const body = shareImports(module.subarray(start, end));
      const length = writeLeb(body.length);
      return concatenate([module.subarray(0, at + 1), length, body, module.subarray(end)]);
    }
    at = end;
  }
  throw new Error("the module imports nothing");
}

function shareImports(body) {
  const count = readLeb(body, 0);
  let at = count.next;
  for (let i = 0; i < count.value; i++) {
    for (let name = 0; name < 2; name++) {
      const length = readLeb(body, at);
      at = length.next + length.value;
    }
    const kind = body[at++];
    if (kind === 0) {
      at = readLeb(body, at).next;
    } else if (kind === KIND_MEMORY) {
      const minimum = readLeb(body, at + 1);
      if (body[at] !== 0) throw new Error("the memory has a maximum already");
      const limits = Uint8Array.from([HAS_MAXIMUM | SHARED, ...writeLeb(minimum.value), ...writeLeb(MAXIMUM_PAGES)]);
      return concatenate([body.subarray(0, at), limits, body.subarray(minimum.next)]);
    } else {
      throw new Error(`an import of kind ${kind} stands before the memory`);
    }
  }
  throw new Error("the module imports no memory");
}

/** Unsigned LEB128. */
function readLeb(bytes, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return { value, next: at };
  }
}

function writeLeb(value) {
  const bytes = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Uint8Array.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}

function concatenate(parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
