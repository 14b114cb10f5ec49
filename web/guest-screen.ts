// The screen of a guest on a canvas, with its keyboard and mouse.
import type { HostedVm, Screen } from "../src/index.ts";
import { make } from "./dom.ts";
import { isReleaseKey } from "./terminal.ts";

/** Keys that only a browser or a desktop can have: the guest's PC has none of them. */
const NO_KEY =
  /^(|Unidentified|Fn|FnLock|BrowserBack|Launch.*|Media.*|Audio.*|Volume.*|Lang\d|Convert|NonConvert|KanaMode)$/;
/** Between two looks at the text. */
const TEXT_MS = 300;

export class GuestScreen {
  readonly element: HTMLElement;
  readonly #canvas = make("canvas", { tabindex: 0, width: 720, height: 400, role: "application" });
  /** Opens the keyboard of a phone. */
  readonly #typing = make("textarea", {
    class: "visually-hidden",
    tabindex: -1,
    autocapitalize: "off",
    autocomplete: "off",
    spellcheck: "false",
    "aria-label": "Keyboard of the guest's screen",
  });
  /** What a text screen says, for those who do not see it. */
  readonly #text = make("pre", { class: "visually-hidden screen-text", "aria-label": "Text on the guest's screen" });
  #textDue: ReturnType<typeof setTimeout> | undefined;
  readonly #context = this.#canvas.getContext("2d", { alpha: false }) as CanvasRenderingContext2D;
  readonly #down = new Set<string>();
  #subscription: Disposable | undefined;
  #last: Screen | undefined;
  /** Comes with the next frame of the page. */
  #next: Screen | undefined;

  constructor(
    private readonly vm: HostedVm,
    private readonly onRelease: () => void,
  ) {
    this.#canvas.setAttribute(
      "aria-label",
      "Screen of the guest; keys go to the guest, a click gives it the mouse, Ctrl-Alt-G leaves it",
    );
    this.element = make("div", { class: "screen" }, this.#canvas, this.#typing, this.#text);
    this.#listenKeys();
    this.#listenMouse();
    this.#canvas.addEventListener("paste", (event) => {
      const text = event.clipboardData?.getData("text");
      if (text) this.paste(text);
    });
    this.#typing.addEventListener("input", () => {
      this.paste(this.#typing.value);
      this.#typing.value = "";
    });
  }

  /** A guest draws only for who looks. */
  show(): void {
    this.#subscription ??= this.vm.on("screen", ({ screen }) => this.#draw(screen));
  }
  hide(): void {
    this.#subscription?.[Symbol.dispose]();
    this.#subscription = undefined;
  }

  focus(): void {
    if (matchMedia("(pointer: coarse)").matches) this.#typing.focus();
    else this.#canvas.focus();
  }

  paste(text: string): void {
    this.vm.type(text).catch(() => {});
  }

  dispose(): void {
    this.hide();
    clearTimeout(this.#textDue);
    this.element.remove();
  }

  #draw(screen: Screen): void {
    this.#textDue ??= setTimeout(() => {
      this.#textDue = undefined;
      this.#text.textContent = this.#last?.kind === "text" ? this.#last.lines().join("\n").trimEnd() : "";
    }, TEXT_MS);
    this.#last = screen;
    const waiting = this.#next !== undefined;
    this.#next = screen;
    if (waiting) return;
    requestAnimationFrame(() => {
      const { width, height } = this.#next ?? screen;
      const pixels = (this.#next ?? screen).rgba() as Uint8ClampedArray<ArrayBuffer>;
      this.#next = undefined;
      if (width === 0 || height === 0) return;
      if (this.#canvas.width !== width || this.#canvas.height !== height) {
        this.#canvas.width = width;
        this.#canvas.height = height;
      }
      this.#context.putImageData(new ImageData(pixels, width, height), 0, 0);
    });
  }

  #listenKeys(): void {
    this.#canvas.addEventListener("keydown", (event) => {
      if (isReleaseKey(event)) {
        this.#releaseKeys();
        this.onRelease();
      } else if (!NO_KEY.test(event.code)) {
        this.#down.add(event.code);
        this.vm.press(event.code).catch(() => {});
      }
      // What the clipboard needs stays the browser's: the guest gets the text by the paste event.
      if (!(event.code === "KeyV" && event.ctrlKey && event.shiftKey)) event.preventDefault();
    });
    this.#canvas.addEventListener("keyup", (event) => {
      if (!this.#down.delete(event.code)) return;
      event.preventDefault();
      this.vm.release(event.code).catch(() => {});
    });
    // A key that is held while somebody leaves would be held for ever.
    this.#canvas.addEventListener("blur", () => this.#releaseKeys());
  }

  #releaseKeys(): void {
    for (const code of this.#down) this.vm.release(code).catch(() => {});
    this.#down.clear();
  }

  #listenMouse(): void {
    const canvas = this.#canvas;
    const move = (event: MouseEvent, dx: number, dy: number, wheel = 0): void => {
      this.vm.moveMouse(dx, dy, wheel, event.buttons & 7).catch(() => {});
    };
    canvas.addEventListener("pointerdown", (event) => {
      this.focus();
      if (event.pointerType === "mouse" && document.pointerLockElement !== canvas)
        Promise.resolve(canvas.requestPointerLock()).catch(() => {});
      move(event, 0, 0);
    });
    canvas.addEventListener("pointerup", (event) => move(event, 0, 0));
    canvas.addEventListener("pointermove", (event) => {
      const held = document.pointerLockElement === canvas || event.buttons !== 0 || event.pointerType === "touch";
      // A PC's mouse counts upwards, a page's pixels downwards.
      if (held) move(event, event.movementX, -event.movementY);
    });
    canvas.addEventListener(
      "wheel",
      (event) => {
        if (document.pointerLockElement !== canvas) return;
        event.preventDefault();
        move(event, 0, 0, Math.sign(event.deltaY));
      },
      { passive: false },
    );
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }
}
