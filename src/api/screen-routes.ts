// Routes of the management API about a VM's screen, keyboard and mouse.
import { KEY_NAMES, keysOfCombination } from "../devices/key-names.ts";
import { checkFields, type FieldTable, schemaOf } from "../host/fields.ts";
import { VmError } from "../vmm/error.ts";
import { screenshot } from "../vmm/screenshot.ts";
import { jsonResponse, NO_CONTENT, PNG_TYPE, readJson } from "./request.ts";
import type { Route } from "./route.ts";
import { SCREEN_SCHEMA } from "./schemas.ts";
import { screenView } from "./views.ts";

const COUNTS_MAX = 10_000;

const KEYS_FIELDS = {
  text: { kind: "text", title: "typed on the guest's PS/2 keyboard, US layout", maxLength: 4096 },
  keys: {
    kind: "text",
    title: 'combinations of keys, one after the other, in place of text: "ctrl-alt-delete", "down down ret"',
    maxLength: 4096,
  },
} as const satisfies FieldTable;

const counts = (title: string) =>
  ({ kind: "number", title, min: -COUNTS_MAX, max: COUNTS_MAX, integer: true, default: 0 }) as const;

const MOUSE_FIELDS = {
  dx: counts("counts to the right"),
  dy: counts("counts up"),
  wheel: counts("clicks of the wheel, down is positive"),
  buttons: {
    kind: "number",
    title: "buttons that are down: 1 left, 2 right, 4 middle, 8 and 16 further ones",
    min: 0,
    max: 31,
    integer: true,
    default: 0,
  },
} as const satisfies FieldTable;

export const SCREEN_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/v1/vms/{name}/screen",
    id: "screen",
    summary: "What its screen shows: lines of text, or the size of a picture",
    answer: { status: 200, description: "The screen.", schema: SCREEN_SCHEMA },
    handle: async (_request, _context, vm) => jsonResponse(200, screenView(await vm.screen())),
  },
  {
    method: "GET",
    path: "/v1/vms/{name}/screenshot",
    id: "screenshot",
    summary: "What its screen shows, as a picture",
    answer: { status: 200, contentType: PNG_TYPE, description: "A PNG file." },
    handle: async (_request, _context, vm) => ({
      status: 200,
      contentType: PNG_TYPE,
      body: await screenshot(await vm.screen()),
    }),
  },
  {
    method: "POST",
    path: "/v1/vms/{name}/keys",
    id: "keys",
    summary: "Type on its PS/2 keyboard; the guest takes the keys one after the other",
    body: schemaOf(KEYS_FIELDS),
    answer: { status: 204, description: "They wait for the guest." },
    handle: async (request, _context, vm) => {
      const { text, keys } = checkFields(KEYS_FIELDS, readJson(request));
      if ((text === undefined) === (keys === undefined))
        throw new VmError("bad-config", "text or keys says what to type; give one of them", { field: "text" });
      if (text !== undefined) await vm.type(text);
      else await vm.sendKeys(...combinationsOf(keys ?? ""));
      return NO_CONTENT;
    },
  },
  {
    method: "POST",
    path: "/v1/vms/{name}/mouse",
    id: "mouse",
    summary: "Move its PS/2 mouse",
    body: schemaOf(MOUSE_FIELDS),
    answer: { status: 204, description: "Moved." },
    handle: async (request, _context, vm) => {
      const { dx, dy, wheel, buttons } = checkFields(MOUSE_FIELDS, readJson(request));
      await vm.moveMouse(dx, dy, wheel, buttons);
      return NO_CONTENT;
    },
  },
];

/** All of them, before any is pressed. */
function combinationsOf(text: string): string[] {
  const combinations = text.split(/\s+/).filter((word) => word !== "");
  for (const combination of combinations) {
    const keys = keysOfCombination(combination);
    if ("unknown" in keys) {
      throw new VmError("bad-config", `keys has "${keys.unknown}"; it takes ${KEY_NAMES.join(", ")}, joined by "-"`, {
        field: "keys",
      });
    }
  }
  return combinations;
}
