// The program of a pCPU's worker in a page.
import { PcpuAgent } from "../../host/pcpu-agent.ts";
import type { CallMessage, PcpuSetup } from "../../host/protocol.ts";
import { provideCoreModule } from "./core-module.ts";
import { webPlatform } from "./index.ts";
import type { WorkerCore, WorkerStart } from "./pcpu-thread.ts";

/** What of DedicatedWorkerGlobalScope is used; the project's types are those of pages. */
interface WorkerScope {
  postMessage(message: unknown): void;
  onmessage: ((event: MessageEvent<WorkerStart | WorkerCore | CallMessage>) => void) | null;
}

const scope = globalThis as unknown as WorkerScope;
const platform = webPlatform();
let agent: PcpuAgent | undefined;

// Until the page's core comes, who needs one waits. Where the page has none, it is fetched here.
let provide: (core: WebAssembly.Module) => void = () => {};
let refuse: (reason: Error) => void = () => {};
provideCoreModule(
  platform.workerMemory,
  new Promise((resolve, reject) => {
    provide = resolve;
    refuse = reject;
  }),
);

/** After the first guest has begun, milliseconds. */
const LOAD_LATER_MS = 3000;

/** What saves guests comes although nobody asks for it yet: by then the page's server may be gone. Whoever needs it hears of a failure. */
function loadLater(): void {
  for (const part of [import("../../snapshot/store.ts"), import("../../snapshot/take.ts")]) part.catch(() => {});
}

scope.onmessage = ({ data }) => {
  if ("setup" in data) {
    setTimeout(loadLater, LOAD_LATER_MS);
    agent = new PcpuAgent(platform, platform.workerMemory, data.setup as PcpuSetup, (message) =>
      scope.postMessage(message),
    );
  } else if ("core" in data) {
    if (data.core !== undefined) provide(data.core);
    else refuse(new Error("the page has no core"));
  } else agent?.receive(data);
};
