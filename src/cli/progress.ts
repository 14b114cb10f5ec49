// How far a long step is, on stderr and only where a person can see it move.

export interface ProgressStep {
  /** "downloading linux-image-686", "compiling". */
  readonly phase: string;
  readonly done?: number;
  readonly total?: number;
}

export interface Progress {
  show(step: ProgressStep): void;
  /** Clears the line. */
  done(): void;
}

const BAR_WIDTH = 24;
const REDRAW_MS = 50;

/** A line that redraws itself on a TTY; nothing at all elsewhere. */
export function createProgress(stream: NodeJS.WriteStream): Progress {
  if (!stream.isTTY) return { show: () => {}, done: () => {} };
  let drawnMs = 0;
  let phase = "";
  return {
    show(step) {
      const nowMs = performance.now();
      if (step.phase === phase && nowMs - drawnMs < REDRAW_MS && step.done !== step.total) return;
      phase = step.phase;
      drawnMs = nowMs;
      stream.write(`\r\x1b[K${progressLine(step, stream.columns || 80)}`);
    },
    done() {
      if (phase !== "") stream.write("\r\x1b[K");
      phase = "";
    },
  };
}

/** One line no wider than the window. */
export function progressLine(step: ProgressStep, columns: number): string {
  const { phase, done, total } = step;
  if (done === undefined || total === undefined || !(total > 0)) return phase.slice(0, columns - 1);
  const part = Math.min(1, Math.max(0, done / total));
  const filled = Math.round(part * BAR_WIDTH);
  const bar = `[${"#".repeat(filled)}${"-".repeat(BAR_WIDTH - filled)}] ${Math.floor(part * 100)}%`;
  return `${phase.slice(0, Math.max(0, columns - bar.length - 3))}  ${bar}`.slice(0, columns - 1);
}
