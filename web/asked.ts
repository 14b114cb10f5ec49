// A page whose address asks for a guest is not laid out before that has printed something: the processors are few, and its fonts
// and boxes would make the guest wait, and so the visitor.

/** A guest that is silent, or long on its way, is waited for this long, in milliseconds. */
const AT_LATEST_MS = 800;

/** The script that hides it is another than the one that waits. */
const SHOWN = "paravane-shown";

export function hidePage(): void {
  document.documentElement.dataset["asked"] = "";
  setTimeout(showPage, AT_LATEST_MS);
}

export function showPage(): void {
  if (!isHidden()) return;
  delete document.documentElement.dataset["asked"];
  dispatchEvent(new Event(SHOWN));
}

/** Resolves when the page is shown, at once where it is. */
export function pageShown(): Promise<void> {
  return new Promise((resolve) => {
    if (isHidden()) addEventListener(SHOWN, () => resolve(), { once: true });
    else resolve();
  });
}

const isHidden = (): boolean => document.documentElement.dataset["asked"] !== undefined;
