// A page whose address asks for a guest is not laid out before that has printed something: the processors are few, and its fonts
// and boxes would make the guest wait, and so the visitor.

/** A guest that is silent, or long on its way, is waited for this long, in milliseconds. */
const AT_LATEST_MS = 800;

export function hidePage(): void {
  document.documentElement.dataset["asked"] = "";
  setTimeout(showPage, AT_LATEST_MS);
}

export function showPage(): void {
  delete document.documentElement.dataset["asked"];
}
