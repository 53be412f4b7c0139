/* Rich text in a composer: an editor in a frame of its own, its tools, and the pictures that are put into the text. */

const TOGGLES = {
  bold: { tag: "B", on: "bold", off: "removeBold" },
  italic: { tag: "I", on: "italic", off: "removeItalic" },
  strike: { tag: "S", on: "strikethrough", off: "removeStrikethrough" },
  list: { tag: "UL", on: "makeUnorderedList", off: "removeList" },
  numbers: { tag: "OL", on: "makeOrderedList", off: "removeList" },
  quote: { tag: "BLOCKQUOTE", on: "increaseQuoteLevel", off: "decreaseQuoteLevel" },
};
const LONGEST = 100_000; /* pixels: quoted mail can ask for more than a browser can draw */
const PICTURE = /^image\/(png|jpeg|gif|webp|avif|bmp)$/;

export class Rich {
  constructor(composer, frame) {
    Object.assign(this, { composer, frame, form: composer.form, field: composer.form.elements.html });
    this.ready = new Promise((resolve) => {
      frame.addEventListener("editor", (event) => { this.#begin(event.detail); resolve(); }, { once: true });
    });
    const { signal } = this.composer.ended;
    for (const button of this.form.querySelectorAll("[data-format]")) button.addEventListener("click", () => this.#format(button.dataset.format), { signal });
    frame.src = frame.dataset.rich;
    frame.hidden = false;
  }

  #begin(editor) {
    this.editor = editor;
    editor.setHTML(this.field.value);
    let before = written(editor);
    editor.addEventListener("input", () => {
      const now = written(editor);
      if (now === before) return; /* the editor tidied up */
      before = now;
      this.field.value = now;
      this.composer.typed();
    });
    for (const name of ["pathChange", "select", "cursor"]) editor.addEventListener(name, () => this.#press());
    editor.addEventListener("pasteImage", (event) => this.insertPictures([...event.detail.clipboardData.files]));
    const inside = this.frame.contentDocument;
    inside.addEventListener("keydown", (event) => this.#key(event), true);
    inside.addEventListener("dragover", (event) => { if (event.dataTransfer.types.includes("Files")) event.preventDefault(); });
    inside.addEventListener("drop", (event) => this.#drop(event), true);
    if (!this.composer.place.number) this.#grow(inside);
  }

  async focus() {
    await this.ready;
    this.frame.focus();
    this.editor.focus();
    this.editor.moveCursorToStart();
  }

  /* On a page the text is as long as it is, within reason; in a window it scrolls. */
  #grow(inside) {
    const text = inside.getElementById("text");
    new ResizeObserver(() => { this.frame.style.minBlockSize = `${Math.min(Math.ceil(text.offsetHeight), LONGEST)}px`; }).observe(text);
  }

  #press() {
    for (const [name, { tag }] of Object.entries(TOGGLES)) this.#set(name, this.editor.hasFormat(tag));
    this.#set("link", this.editor.hasFormat("A"));
  }

  #set(name, on) { this.form.querySelector(`[data-format=${name}]`).setAttribute("aria-pressed", String(on)); }

  async #format(name) {
    await this.ready;
    const { editor } = this;
    if (name === "link") { this.#link(); return; }
    if (name === "clear") editor.removeAllFormatting();
    else { const { tag, on, off } = TOGGLES[name]; editor[editor.hasFormat(tag) ? off : on](); }
    this.#press();
  }

  #key(event) {
    if (this.composer.key(event)) return;
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") { event.preventDefault(); this.#link(); }
    if (event.key === "Escape") this.composer.place.shrink?.(true);
  }

  /* Where a link leads is asked for in a line below the text. */
  #link() {
    const { editor } = this;
    this.form.querySelector(".link-line")?.remove();
    if (editor.hasFormat("A") && editor.getSelection().collapsed === false) { editor.removeLink(); return; }
    const range = editor.getSelection();
    const line = Object.assign(document.createElement("div"), { className: "line link-line" });
    const input = Object.assign(document.createElement("input"), { className: "bare grow", type: "text", inputMode: "url", placeholder: "https://", ariaLabel: this.composer.words.link });
    const use = () => {
      const url = address(input.value.trim());
      line.remove();
      editor.focus();
      editor.setSelection(range);
      if (!url) return;
      if (range.collapsed) editor.insertHTML(Object.assign(document.createElement("a"), { href: url, textContent: input.value.trim() }).outerHTML);
      else editor.makeLink(url);
    };
    input.addEventListener("input", (event) => event.stopPropagation());
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); use(); }
      if (event.key === "Escape") { event.stopPropagation(); line.remove(); editor.focus(); }
    });
    const button = Object.assign(document.createElement("button"), { type: "button", className: "btn small", textContent: this.form.querySelector("[data-format=link]").getAttribute("aria-label") });
    button.addEventListener("click", use);
    line.append(input, button);
    this.form.querySelector(".tools").before(line);
    input.focus();
  }

  #drop(event) {
    const files = [...event.dataTransfer.files];
    if (!files.length) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    this.composer.uploads.dropping(false);
    this.insertPictures(files.filter((file) => PICTURE.test(file.type)));
    this.composer.uploads.add(files.filter((file) => !PICTURE.test(file.type)));
  }

  async insertPictures(files) {
    await this.ready;
    for (const file of files) {
      const [told] = await this.composer.uploads.add([named(file)], true);
      if (told?.picture) this.editor.insertImage(told.picture, { alt: file.name.replace(/\.[^.]*$/, ""), style: "max-width:100%" });
    }
  }
}

/* With the addresses of pictures that the frame does not ask for (editor.js). */
const written = (editor) => editor.getHTML().replace(/(<img\b[^>]*?\s)data-remote=/gi, "$1src=");

function address(typed) {
  if (/^(https?|mailto|tel):/i.test(typed)) return typed;
  if (/^[^\s@/]+@[^\s@/]+$/.test(typed)) return `mailto:${typed}`;
  return /^[^\s:]+\.[^\s]+$/.test(typed) ? `https://${typed}` : "";
}

/* The server tells a picture by its name. */
function named(file) {
  if (/\.(png|jpe?g|gif|webp|avif|bmp)$/i.test(file.name)) return file;
  return new File([file], `${file.name || "picture"}.${file.type.split("/")[1].replace("jpeg", "jpg")}`, { type: file.type, lastModified: file.lastModified });
}
