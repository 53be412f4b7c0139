/* People as chips over a plain input, which stays what the form hands in: a combobox with suggestions (ARIA 1.2). */
import { read, split } from "./addresses.js";

const PAUSE = 80; /* milliseconds between the last key and the question whom it may be for */
let known = true; /* false once the server has no suggestions to give */
let lists = 0;

const make = (tag, properties = {}, ...children) => { const element = Object.assign(document.createElement(tag), properties); element.append(...children); return element; };

function cross() {
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  icon.setAttribute("class", "i");
  icon.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `${document.querySelector("svg use").getAttribute("href").split("#")[0]}#i-x`);
  icon.append(use);
  return icon;
}

export class People {
  constructor(input, words) {
    this.truth = Object.assign(document.createElement("input"), { type: "hidden", name: input.name, value: input.value });
    this.words = words;
    this.people = split(input.value).map(read);
    this.place = null; /* where a chip that is being edited goes back to */
    this.#build(input);
    this.#show();
    this.#listen();
  }

  #build(truth) {
    const id = `people-${lists += 1}`;
    this.typed = make("input", { className: "bare", type: "text", id: truth.id, autocomplete: "off", dir: "auto", spellcheck: false, autofocus: truth.autofocus });
    this.typed.setAttribute("enterkeyhint", "next");
    this.options = make("ul", { className: "menu suggested", id, hidden: true });
    for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": id })) this.typed.setAttribute(name, value);
    if (truth.getAttribute("aria-invalid")) this.typed.setAttribute("aria-invalid", "true");
    this.options.setAttribute("role", "listbox");
    this.options.setAttribute("aria-label", this.words.suggested.replace("{n} ", ""));
    this.said = make("span", { className: "vh" });
    this.said.setAttribute("aria-live", "polite");
    this.list = make("ul", { className: "chips" });
    this.list.setAttribute("role", "list");
    this.box = make("div", { className: "people-box" }, this.list, this.options, this.said);
    this.last = make("li", { className: "grow" }, this.typed);
    this.list.append(this.last);
    const focused = document.activeElement === truth;
    truth.replaceWith(this.truth, this.box);
    if (focused) this.typed.focus();
  }

  #show() {
    for (const chip of this.list.querySelectorAll(".chip")) chip.remove();
    this.people.forEach((person, at) => this.last.before(this.#chip(person, at)));
  }

  #chip(person, at) {
    const shown = person.name || person.email;
    const remove = make("button", { type: "button", tabIndex: -1, ariaLabel: this.words.remove.replace("{name}", shown) }, cross());
    const chip = make("li", { className: `chip who${person.good ? "" : " bad"}`, tabIndex: -1, title: person.good ? person.text : this.words.wrong.replace("{name}", person.text) }, make("span", { className: "clip", dir: "auto", textContent: shown || person.text }), remove);
    if (!person.good) chip.append(make("span", { className: "vh", textContent: this.words.wrong.replace("{name}", "") }));
    remove.addEventListener("click", () => { this.#remove(at); this.typed.focus(); });
    chip.addEventListener("dblclick", () => this.#edit(at));
    chip.addEventListener("keydown", (event) => this.#onChipKey(event, at));
    return chip;
  }

  /* All that is here, also what is still being typed. */
  get value() { return [...this.people.map((one) => one.text), this.typed.value.trim()].filter(Boolean).join(", "); }

  set value(text) {
    this.people = split(text).map(read);
    this.typed.value = "";
    this.#show();
    this.truth.value = this.value;
  }

  #changed() {
    this.truth.value = this.value;
    this.truth.dispatchEvent(new Event("input", { bubbles: true }));
  }

  /* What is typed becomes chips; `all` also what may be only half written. */
  commit(text = this.typed.value) {
    const fresh = split(text).map(read);
    this.#close();
    if (!fresh.length) return;
    const own = new Set(this.people.map((one) => one.email.toLowerCase()));
    const added = fresh.filter((one) => !one.good || !own.has(one.email.toLowerCase()));
    this.people.splice(this.place ?? this.people.length, 0, ...added);
    this.place = null;
    this.typed.value = "";
    this.#show();
    this.#say(added.map((one) => (one.good ? this.words.added : this.words.wrong).replace("{name}", one.name || one.text)).join(", "));
    this.#changed();
  }

  #remove(at) {
    const [gone] = this.people.splice(at, 1);
    this.#show();
    this.#say(this.words.removed.replace("{name}", gone.name || gone.text));
    this.#changed();
  }

  #edit(at) {
    this.commit();
    const [person] = this.people.splice(at, 1);
    this.place = at;
    this.#show();
    this.typed.value = person.text;
    this.#changed();
    this.typed.focus();
    this.typed.select();
  }

  #say(text) { this.said.textContent = text; }

  #listen() {
    this.typed.addEventListener("keydown", (event) => this.#onKey(event));
    this.typed.addEventListener("input", (event) => {
      event.stopPropagation(); /* the form hears of it from the input that it hands in */
      this.typed.removeAttribute("aria-invalid");
      const complete = /[,;\n]\s*$/.test(this.typed.value) && split(`${this.typed.value}x`).length > split(this.typed.value).length;
      if (complete) this.commit(); else { this.#changed(); this.#ask(); }
    });
    this.typed.addEventListener("paste", (event) => {
      const text = event.clipboardData.getData("text/plain");
      if (this.typed.value || !(split(text).length > 1 || read(text.trim()).good)) return;
      event.preventDefault();
      this.commit(text);
    });
    this.typed.addEventListener("blur", () => this.commit());
    this.options.addEventListener("pointerdown", (event) => event.preventDefault()); /* keeps the focus */
    this.options.addEventListener("click", (event) => { const option = event.target.closest("[role=option]"); if (option) this.#choose(option); });
    this.list.addEventListener("click", (event) => { if (event.target === this.list || event.target === this.last) this.typed.focus(); });
  }

  #onKey(event) {
    if (event.isComposing) return;
    const { key } = event;
    const open = !this.options.hidden;
    const chosen = this.options.querySelector("[aria-selected=true]");
    if (open && (key === "ArrowDown" || key === "ArrowUp")) { event.preventDefault(); this.#mark(key === "ArrowDown" ? 1 : -1); return; }
    if (open && key === "Escape") { event.preventDefault(); event.stopPropagation(); this.#close(); return; }
    if (event.ctrlKey || event.metaKey) return;
    if (open && chosen && (key === "Enter" || key === "Tab")) { event.preventDefault(); this.#choose(chosen); return; }
    if (key === "Enter") { event.preventDefault(); this.commit(); return; }
    if (key === " " && read(this.typed.value.trim()).good && !this.typed.value.includes("<")) { event.preventDefault(); this.commit(); return; }
    const atStart = !this.typed.selectionStart && !this.typed.selectionEnd;
    if (!atStart || !this.people.length) return;
    if (key === "Backspace") { event.preventDefault(); this.#remove(this.people.length - 1); }
    if (key === "ArrowLeft") { event.preventDefault(); this.#focus(this.people.length - 1); }
  }

  #onChipKey(event, at) {
    const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: this.people.length - 1 };
    if (event.key in moves) { event.preventDefault(); this.#focus(moves[event.key]); }
    else if (event.key === "Backspace" || event.key === "Delete") { event.preventDefault(); this.#remove(at); this.#focus(event.key === "Delete" ? at : at - 1); }
    else if (event.key === "Enter") { event.preventDefault(); this.#edit(at); }
    else if (event.key === "Escape") { event.stopPropagation(); this.typed.focus(); }
    else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey) this.typed.focus();
  }

  #focus(at) { (this.list.querySelectorAll(".chip")[Math.max(0, at)] ?? this.typed).focus(); }

  /* --- suggestions --- */

  #ask() {
    clearTimeout(this.timer);
    this.asked?.abort();
    const typed = this.typed.value.trim();
    if (!typed || !known) { this.#close(); return; }
    this.timer = setTimeout(() => this.#fetch(typed), PAUSE);
  }

  async #fetch(typed) {
    this.asked = new AbortController();
    try {
      const answer = await fetch(`${this.words.suggestions}?q=${encodeURIComponent(typed)}`, { signal: this.asked.signal, headers: { Accept: "application/json" } });
      if (answer.status === 404) known = false;
      const said = answer.ok && !answer.redirected ? await answer.json() : null;
      if (said && this.typed.value.trim() === typed && document.activeElement === this.typed) this.#offer(said.suggestions);
    } catch (error) {
      if (error.name !== "AbortError" && !(error instanceof TypeError)) throw error; /* without a line one types the address */
    }
  }

  #offer(suggestions) {
    const own = new Set(this.people.map((one) => one.email.toLowerCase()));
    const fresh = suggestions.filter((one) => one.group || !own.has(one.email.toLowerCase()));
    this.options.replaceChildren(...fresh.map((one, at) => this.#option(one, at)));
    this.options.hidden = !fresh.length;
    this.typed.setAttribute("aria-expanded", String(fresh.length > 0));
    this.typed.removeAttribute("aria-activedescendant");
    if (fresh.length) { this.#mark(1); this.#say(this.words.suggested.replace("{n}", fresh.length)); }
  }

  #option(one, at) {
    const option = make("li", { id: `${this.options.id}-${at}` }, make("span", { className: "clip", dir: "auto", textContent: one.name || one.email }));
    const beside = one.group ? this.words.group : one.name ? one.email : "";
    if (beside) option.append(make("small", { className: "clip", textContent: beside }));
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", "false");
    option.dataset.text = one.text;
    return option;
  }

  #mark(step) {
    const options = [...this.options.children];
    const at = options.findIndex((one) => one.ariaSelected === "true");
    options[at]?.setAttribute("aria-selected", "false");
    const next = options[(at + step + options.length) % options.length];
    next.setAttribute("aria-selected", "true");
    next.scrollIntoView({ block: "nearest" });
    this.typed.setAttribute("aria-activedescendant", next.id);
  }

  #choose(option) { this.typed.value = ""; this.commit(option.dataset.text); this.typed.focus(); }

  #close() {
    clearTimeout(this.timer);
    this.asked?.abort();
    this.options.hidden = true;
    this.options.replaceChildren();
    this.typed.setAttribute("aria-expanded", "false");
    this.typed.removeAttribute("aria-activedescendant");
  }
}
