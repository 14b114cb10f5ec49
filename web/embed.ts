// One guest and nothing around it, for frames in other pages: the address says which.
import { Host } from "../src/index.ts";
import { showPage } from "./asked.ts";
import { loadCatalogue, loadRom } from "./catalogue.ts";
import { byId, errorText } from "./dom.ts";
import { GuestPanel } from "./guest-panel.ts";
import { configOf, fetchSnapshot, parseUrl, whatBoots } from "./guest-request.ts";
import { requireNetwork } from "./networks.ts";
import { startTheme } from "./theme.ts";

try {
  const query = new URLSearchParams(location.search);
  startTheme(query.get("theme"));
  const wanted = parseUrl(query);
  const host = await Host.create({ pcpus: 1, threads: wanted.threads });
  await requireNetwork(host, wanted.network);
  const find = async (name: string) =>
    (await loadRom(name)) ?? (await loadCatalogue()).find((preset) => preset.name === name);
  const vm =
    wanted.snapshot === undefined
      ? await host.createVm({ ...configOf(await whatBoots(wanted, find), wanted), name: "guest" })
      : await host.restoreVm({ bytes: await fetchSnapshot(wanted.snapshot) }, { name: "guest" });
  const start = query.get("autostart") === "off" ? undefined : vm.start();
  const panel = new GuestPanel(vm, { controls: wanted.controls, onPrinted: showPage });
  byId("guests").append(panel.element);
  const started = start && panel.act(() => start);
  panel.open();
  await started;
} catch (error) {
  showPage();
  byId("alert").hidden = false;
  byId("alert").textContent = errorText(error);
}
