// Mixed-integer linear programs, and their exact solution by HiGHS (docs/RATIONALE.md, Libraries). The solver is loaded
// when the first program is solved: 3.5 MB of Wasm that nobody should pay for who only runs VMs.
import type { Highs } from "highs";
import { VmError } from "../../vmm/error.ts";

export type Term = readonly [column: number, coefficient: number];

/** Minimises cost over the columns, subject to lower <= sum of terms <= upper in each row. */
export class LinearModel {
  readonly costs: number[] = [];
  readonly lower: number[] = [];
  readonly upper: number[] = [];
  readonly integer: boolean[] = [];
  readonly rows: { terms: readonly Term[]; lower: number; upper: number }[] = [];

  /** Returns the column's number. */
  column(cost: number, lower: number, upper: number, integer = false): number {
    this.costs.push(cost);
    this.lower.push(lower);
    this.upper.push(upper);
    this.integer.push(integer);
    return this.costs.length - 1;
  }

  /** A column that is 0 or 1. */
  binary(cost: number): number {
    return this.column(cost, 0, 1, true);
  }

  /** Terms of one column are added up. */
  row(terms: readonly Term[], lower: number, upper: number): void {
    const merged = new Map<number, number>();
    for (const [column, coefficient] of terms) merged.set(column, (merged.get(column) ?? 0) + coefficient);
    this.rows.push({ terms: [...merged], lower, upper });
  }
}

export interface LinearSolution {
  readonly objective: number;
  /** By column; integer columns are whole numbers. */
  readonly values: readonly number[];
}

export interface SolveOptions {
  /** For everything that is asked for; then VmError("timeout"). Default 60. */
  readonly timeLimitSeconds?: number;
  /** When that time is over, as performance.now() counts; set by withDeadline. */
  readonly deadlineMs?: number;
  /** Where the solver's Wasm lies, for bundlers that move it. Counts at the first call. */
  readonly locateFile?: (file: string) => string;
}

/** Rows and bounds hold this well relative to coefficients near 1; callers scale, and check what must hold exactly. */
export const FEASIBILITY = 1e-9;

const TIME_LIMIT_SECONDS = 60;

/** The options with the time limit begun, so that several programs share it. */
export function withDeadline(options: SolveOptions): SolveOptions {
  const { timeLimitSeconds = TIME_LIMIT_SECONDS } = options;
  return { deadlineMs: performance.now() + timeLimitSeconds * 1000, ...options };
}

let loading: Promise<Highs> | undefined;

/**
 * A proven optimum, or undefined where no values fulfil the rows. Programs must be bounded. Throws VmError("timeout") when
 * neither was proven in time, VmError("host") when the solver cannot be loaded, VmError("internal") when it fails.
 */
export async function solve(model: LinearModel, options: SolveOptions = {}): Promise<LinearSolution | undefined> {
  const highs = await load(options);
  const limit = options.timeLimitSeconds ?? TIME_LIMIT_SECONDS;
  const seconds = ((withDeadline(options).deadlineMs ?? 0) - performance.now()) / 1000;
  const timedOut = new VmError("timeout", `No proven optimum within ${limit} s; give more time or a smaller fleet.`, {
    timeLimitSeconds: limit,
  });
  if (seconds <= 0) throw timedOut;
  const starts = [0];
  for (const { terms } of model.rows) starts.push((starts.at(-1) ?? 0) + terms.length);
  const { optimal, empty, infeasible, unboundedOrInfeasible, timeLimit } = highs.constants.modelStatus;
  try {
    return highs.withModel(
      {
        numCols: model.costs.length,
        numRows: model.rows.length,
        colCost: model.costs,
        colLower: model.lower,
        colUpper: model.upper,
        rowLower: model.rows.map((row) => row.lower),
        rowUpper: model.rows.map((row) => row.upper),
        integrality: Int32Array.from(model.integer, Number),
        matrix: {
          format: "csr",
          numRows: model.rows.length,
          numCols: model.costs.length,
          starts,
          indices: model.rows.flatMap(({ terms }) => terms.map(([column]) => column)),
          values: model.rows.flatMap(({ terms }) => terms.map(([, coefficient]) => coefficient)),
        },
      },
      (program): LinearSolution | undefined => {
        program.options.set({
          output_flag: false,
          // Optimal means optimal, not within the 0.01% that is the solver's default.
          mip_rel_gap: 0,
          mip_abs_gap: 0,
          mip_feasibility_tolerance: FEASIBILITY,
          primal_feasibility_tolerance: FEASIBILITY,
          time_limit: seconds,
        });
        program.run();
        const status = program.getModelStatus();
        if (status === infeasible || status === unboundedOrInfeasible) return undefined;
        if (status === timeLimit) throw timedOut;
        if (status === empty) return { objective: 0, values: model.costs.map(() => 0) };
        if (status !== optimal) throw new VmError("internal", `The solver ended with status ${status}.`, { status });
        const values = Array.from(program.getSolution().colValue, (value, i) =>
          model.integer[i] ? Math.round(value) : value,
        );
        return { objective: values.reduce((sum, value, i) => sum + value * (model.costs[i] ?? 0), 0), values };
      },
    );
  } catch (error) {
    if (error instanceof VmError) throw error;
    // An aborted Wasm instance is of no use to the next caller.
    loading = undefined;
    throw new VmError(
      "internal",
      `The solver failed: ${error instanceof Error ? error.message : error}.`,
      {},
      {
        cause: error,
      },
    );
  }
}

async function load(options: SolveOptions): Promise<Highs> {
  loading ??= import("highs").then(({ default: create }) =>
    create(options.locateFile ? { locateFile: options.locateFile } : {}),
  );
  try {
    return await loading;
  } catch (cause) {
    loading = undefined;
    throw new VmError(
      "host",
      `The solver (npm package highs) cannot be loaded; a page needs its highs.wasm beside paravane.js: ${cause instanceof Error ? cause.message : cause}.`,
      {},
      { cause },
    );
  }
}
