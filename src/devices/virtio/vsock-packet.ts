// Packets of the socket device (virtio 1.2, section 5.10.6).

export const PACKET_HEADER_BYTES = 44;
export const CID_HOST = 2;
export const PACKET_STREAM = 1;

export const OP_REQUEST = 1;
export const OP_RESPONSE = 2;
export const OP_RST = 3;
export const OP_SHUTDOWN = 4;
export const OP_RW = 5;
export const OP_CREDIT_UPDATE = 6;
export const OP_CREDIT_REQUEST = 7;
export const SHUTDOWN_RECEIVE = 1;
export const SHUTDOWN_SEND = 2;

export interface PacketHeader {
  readonly sourceCid: bigint;
  readonly targetCid: bigint;
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly lengthBytes: number;
  readonly type: number;
  readonly op: number;
  readonly flags: number;
  /** The sender's buffer, and how much of what it was sent it has taken out of it (free-running). */
  readonly bufferBytes: number;
  readonly forwarded: number;
}

export function readPacketHeader(bytes: Uint8Array): PacketHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    sourceCid: view.getBigUint64(0, true),
    targetCid: view.getBigUint64(8, true),
    sourcePort: view.getUint32(16, true),
    targetPort: view.getUint32(20, true),
    lengthBytes: view.getUint32(24, true),
    type: view.getUint16(28, true),
    op: view.getUint16(30, true),
    flags: view.getUint32(32, true),
    bufferBytes: view.getUint32(36, true),
    forwarded: view.getUint32(40, true),
  };
}

export function writePacketHeader(header: PacketHeader): Uint8Array {
  const view = new DataView(new ArrayBuffer(PACKET_HEADER_BYTES));
  view.setBigUint64(0, header.sourceCid, true);
  view.setBigUint64(8, header.targetCid, true);
  view.setUint32(16, header.sourcePort, true);
  view.setUint32(20, header.targetPort, true);
  view.setUint32(24, header.lengthBytes, true);
  view.setUint16(28, header.type, true);
  view.setUint16(30, header.op, true);
  view.setUint32(32, header.flags, true);
  view.setUint32(36, header.bufferBytes, true);
  view.setUint32(40, header.forwarded, true);
  return new Uint8Array(view.buffer);
}
