// The program of a pCPU's worker thread.
import { parentPort, workerData } from "node:worker_threads";
import { PcpuAgent } from "../../host/pcpu-agent.ts";
import type { CallMessage, FramesMessage, PcpuSetup } from "../../host/protocol.ts";
import { nodePlatform } from "./index.ts";

const port = parentPort;
if (port === null) throw new Error("pcpu-worker is started by a host, not by hand");
const platform = nodePlatform();
const agent = new PcpuAgent(platform, platform.workerMemory, workerData as PcpuSetup, (message) =>
  port.postMessage(message),
);
port.on("message", (message) => agent.receive(message as CallMessage | FramesMessage));
