// What a route of the management API is; routes.ts has them all.
import type { FieldTable } from "../host/fields.ts";
import type { Host } from "../host/host.ts";
import type { HostedVm } from "../host/hosted-vm.ts";
import type { VmSpecResolver } from "../host/vm-spec.ts";
import { VmError } from "../vmm/error.ts";
import type { EventFeed } from "./event-feed.ts";
import { type ApiRequest, type ApiResponse, type BYTES_TYPE, jsonResponse } from "./request.ts";
import { VM_SCHEMA } from "./schemas.ts";
import { vmView } from "./views.ts";

/** What handlers work with. */
export interface ApiContext {
  readonly host: Host;
  readonly resolve: VmSpecResolver;
  readonly events: EventFeed;
  readonly version: string;
  readonly limits: ApiLimits;
}

export interface ApiLimits {
  /** Bytes of a request's body. */
  readonly bodyBytes: number;
  readonly vms: number;
}

export interface QueryParameter {
  readonly name: string;
  readonly description: string;
  readonly schema: Readonly<Record<string, unknown>>;
}

export interface Route {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** "{name}" stands for the name of a VM. */
  readonly path: string;
  /** OpenAPI's operationId. */
  readonly id: string;
  readonly summary: string;
  readonly query?: readonly QueryParameter[];
  /** JSON schema of the body, or its media type. Undefined: no body. */
  readonly body?: Readonly<Record<string, unknown>> | typeof BYTES_TYPE;
  /** Status and media type where all is well. */
  readonly answer: {
    readonly status: number;
    readonly contentType?: string;
    readonly description: string;
    /** JSON schema; of one line where lines come. */
    readonly schema?: Readonly<Record<string, unknown>>;
  };
  handle(request: ApiRequest, context: ApiContext, vm: HostedVm): Promise<ApiResponse> | ApiResponse;
}

/** A verb without a body that answers with the VM as it is afterwards. */
export function verb(id: string, summary: string, act: (vm: HostedVm) => Promise<unknown>): Route {
  return {
    method: "POST",
    path: `/v1/vms/{name}/${id}`,
    id,
    summary,
    answer: { status: 200, description: "The VM.", schema: VM_SCHEMA },
    handle: async (_request, _context, vm) => {
      await act(vm);
      return jsonResponse(200, vmView(vm));
    },
  };
}

/** Fields that were given or have a default. */
export function present<T extends object>(
  fields: T,
): { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
} {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

/** Throws VmError("admission") where `count` more VMs are more than the API allows. */
export function requireRoom({ host, limits }: ApiContext, count: number): void {
  if (host.vms.length + count <= limits.vms) return;
  throw new VmError("admission", `This host takes ${limits.vms} VMs, and has ${host.vms.length}.`, {
    limit: limits.vms,
  });
}

/** For changes: what is left out stays as it is. */
export function withoutDefaults<T extends FieldTable>(table: T): T {
  return Object.fromEntries(
    Object.entries(table).map(([name, field]) => {
      const { default: _default, ...rest } = field as { default?: unknown };
      return [name, rest];
    }),
  ) as unknown as T;
}
