// Routes of the serial ports of a VM.
import { followConsole } from "./console-feed.ts";
import { BYTES_TYPE, NO_CONTENT, queryFlag, queryInteger } from "./request.ts";
import type { QueryParameter, Route } from "./route.ts";

const PORT_QUERY: QueryParameter = {
  name: "port",
  description: "serial port",
  schema: { type: "integer", minimum: 0, maximum: 3, default: 0 },
};

export const CONSOLE_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/v1/vms/{name}/console",
    id: "console",
    summary: "What a serial port printed lately; with follow also what comes",
    query: [
      PORT_QUERY,
      { name: "follow", description: "stay", schema: { type: "boolean", default: false } },
      { name: "skip", description: "nothing of what was printed before", schema: { type: "boolean", default: false } },
    ],
    answer: { status: 200, contentType: BYTES_TYPE, description: "Bytes as the guest sent them." },
    handle: (request, { host }, vm) => {
      const port = queryInteger(request, "port", 0, 3);
      const scrollback = vm.scrollback(port);
      const skip = queryFlag(request, "skip");
      const body = queryFlag(request, "follow")
        ? followConsole(host, vm, port, !skip, request.signal)
        : skip
          ? new Uint8Array(0)
          : scrollback;
      return { status: 200, contentType: BYTES_TYPE, body };
    },
  },
  {
    method: "POST",
    path: "/v1/vms/{name}/console",
    id: "input",
    summary: "Input to a serial port",
    query: [PORT_QUERY],
    body: BYTES_TYPE,
    answer: { status: 204, description: "Sent." },
    handle: (request, _context, vm) => {
      vm.serial(queryInteger(request, "port", 0, 3)).write(request.body);
      return NO_CONTENT;
    },
  },
];
