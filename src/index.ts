// The public API of Paravane. Everything else is internal and may change.

export type { RandomAccessFile } from "./backends/block/random-access.ts";
export { memoryCd, memoryDisk, RawDisk } from "./backends/block/raw.ts";
export { MemoryBackend } from "./backends/memory.ts";
export { type NetworkPort, type SwitchLink, VirtualNetwork } from "./backends/network/virtual-network.ts";
export type { ByteConsole } from "./backends/stream.ts";
export {
  benchVirt,
  type VirtBenchOptions,
  type VirtBenchProgress,
  type VirtBenchResult,
} from "./bench/virt/bench-virt.ts";
export { type Cost, type Measurement, VIRT_FORMS, type VirtForm } from "./bench/virt/measurement.ts";
export type { Comparison } from "./bench/virt/report.ts";
export { virtReportHtml } from "./bench/virt/report-html.ts";
export { virtReportMarkdown } from "./bench/virt/report-markdown.ts";
export type { FormResult, OperationResult, Ratio } from "./bench/virt/result.ts";
export { detectImageKind, type ImageKind } from "./boot/detect.ts";
export type { SegmentState, StartState } from "./boot/machine.ts";
export type { BalloonStatistics } from "./devices/virtio/balloon.ts";
export type { GraphicsScreen, Screen, TextCell, TextScreen } from "./display/screen.ts";
export { Host, type HostConfig, type HostEvents, type HostedVmConfig } from "./host/host.ts";
export type { HostedVm, StopOptions } from "./host/hosted-vm.ts";
export type { PcpuAccount, VcpuAccount } from "./host/pcpu.ts";
export type { SnapshotBytes, SnapshotFile } from "./host/protocol.ts";
export { admit, type Shortage, shortages } from "./host/resources/admission.ts";
export { checkFleet, type Fleet } from "./host/resources/fleet.ts";
export {
  type BalloonedVm,
  type MemoryTargetOptions,
  nextMemoryTargets,
  WorkingSet,
} from "./host/resources/memory-targets.ts";
export type { HostCapacity, ResourceClaim, VmClaims } from "./host/resources/model.ts";
export { type Plan, type PlanOptions, plan } from "./host/resources/plan.ts";
export { comparePlans, type PlanChanges } from "./host/resources/plan-changes.ts";
export { applyEdits, type Edit } from "./host/resources/what-if.ts";
export type { SchedParameters } from "./host/sched/policy.ts";
export { type FlattenedSnapshot, flattenSnapshot } from "./snapshot/flatten.ts";
export { inspectSnapshot, type SnapshotReport, verifySnapshot } from "./snapshot/inspect.ts";
export type { RestoreOptions, SnapshotName } from "./snapshot/restore.ts";
export {
  MemorySnapshots,
  type SnapshotSink,
  type SnapshotSource,
  type SnapshotStore,
  snapshotFolder,
} from "./snapshot/store.ts";
export type { SnapshotInfo, SnapshotOptions } from "./snapshot/take.ts";
export { cpuModelNames } from "./vcpu/cpu-model.ts";
export type { GprName, SegmentName, TableRegister, Vcpu } from "./vcpu/vcpu.ts";
export type { BlockBackend, MaybePromise } from "./vmm/block.ts";
export type {
  BootDevice,
  BootSource,
  ClockKind,
  ClockSyncConfig,
  ClockSyncMode,
  DisplayKind,
  ParavirtName,
  ResumeTime,
  VirtKind,
  VmConfig,
} from "./vmm/config.ts";
export type { BreakConditions, MemoryWatch } from "./vmm/debug-controls.ts";
export type { ByteBackend, GuestMemory } from "./vmm/device.ts";
export type {
  BalloonConfig,
  ConsoleConfig,
  DiskSource,
  DriveConfig,
  InputKind,
  NicConfig,
  ShareConfig,
  VmLimits,
  VmLimitsChange,
  VsockConfig,
} from "./vmm/device-config.ts";
export { VmError, type VmErrorCode } from "./vmm/error.ts";
export type { FileTree } from "./vmm/file-tree.ts";
export type { DetachOptions } from "./vmm/hotplug.ts";
export type { Keyboard } from "./vmm/keyboard.ts";
export type {
  LinkSettings,
  NetworkBackend,
  NetworkSource,
  PortForward,
  UserNetworkSettings,
} from "./vmm/network.ts";
export { screenshot } from "./vmm/screenshot.ts";
export type {
  DebugStop,
  ExitStatus,
  ResetCause,
  TraceEvent,
  TraceKind,
  VmEvents,
  VmState,
  VmStatistics,
} from "./vmm/status.ts";
export type { VirtioSet } from "./vmm/virtio-set.ts";
export { Vm } from "./vmm/vm.ts";
export type { VsockBackend, VsockEvents, VsockStream } from "./vmm/vsock.ts";
