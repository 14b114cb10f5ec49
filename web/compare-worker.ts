// Measures full virtualization against paravirtualization beside the page, which stays free to be used.
import {
  benchVirt,
  type VirtBenchOptions,
  type VirtBenchProgress,
  type VirtBenchResult,
  virtReportHtml,
} from "../src/index.ts";

/** What the page asks. */
export interface CompareRequest {
  readonly options: Pick<VirtBenchOptions, "rom" | "forms" | "repeats" | "percent" | "only">;
  /** Lines of the report about where it was measured. */
  readonly circumstances: readonly string[];
}

export type CompareAnswer =
  | { readonly kind: "progress"; readonly progress: VirtBenchProgress }
  | { readonly kind: "result"; readonly result: VirtBenchResult; readonly html: string }
  | { readonly kind: "error"; readonly message: string };

const scope = globalThis as unknown as {
  postMessage(answer: CompareAnswer): void;
  onmessage: ((event: MessageEvent<CompareRequest>) => void) | null;
};

scope.onmessage = ({ data: { options, circumstances } }) => {
  const onProgress = (progress: VirtBenchProgress): void => scope.postMessage({ kind: "progress", progress });
  benchVirt({ ...options, onProgress }).then(
    (result) => {
      const title = "Full virtualization against paravirtualization";
      scope.postMessage({ kind: "result", result, html: virtReportHtml({ ...result, title, circumstances }) });
    },
    (error: unknown) =>
      scope.postMessage({ kind: "error", message: error instanceof Error ? error.message : String(error) }),
  );
};
