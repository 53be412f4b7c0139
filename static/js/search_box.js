/* The search box: what is typed is completed, and what was searched for lately is offered in an empty box. A combobox (ARIA 1.2)
   over a plain input, which hands in its form by itself. */
const PAUSE = 120; /* milliseconds between the last key and the question what may be meant */
const csrf = () => JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
const make = (tag, properties = {}, ...children) => { const element = Object.assign(document.createElement(tag), properties); element.append(...children); return element; };
let lists = 0;

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "i s");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `${document.querySelector("svg use").getAttribute("href").split("#")[0]}#i-${name}`);
  svg.append(use);
  return svg;
}

function post(url, values) {
  const body = new URLSearchParams(values);
  return fetch(url, { method: "POST", body, headers: { "X-CSRFToken": csrf() }, redirect: "manual", keepalive: true }).catch(() => {}); /* without a line nothing is kept */
}

class SearchBox {
  constructor(input) {
    this.input = input;
    this.words = input.form.dataset;
    this.live = input.hasAttribute("hx-get"); /* results follow what is typed */
    this.used = input.value.trim();
    this.#build();
    this.#listen();
  }

  #build() {
    const id = `choices-${lists += 1}`;
    this.list = make("ul", { id });
    this.list.setAttribute("role", "listbox");
    this.title = make("p", { className: "dim xs", id: `${id}-title` });
    this.list.setAttribute("aria-labelledby", this.title.id);
    this.all = make("button", { type: "button", className: "link", textContent: this.words.forgetAll });
    this.box = make("div", { className: "menu choices", hidden: true }, this.title, this.list, this.all);
    this.said = make("span", { className: "vh" });
    this.said.setAttribute("aria-live", "polite");
    for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": id })) this.input.setAttribute(name, value);
    this.input.after(this.box, this.said);
  }

  #listen() {
    const { input, box } = this;
    input.addEventListener("input", () => {
      if (box.classList.contains("recent")) this.#close(); else this.#unmark(); /* what is still offered was for another text */
      this.#ask(PAUSE);
    });
    input.addEventListener("focus", () => { if (!input.value) this.#ask(0); });
    input.addEventListener("click", () => { if (!input.value && box.hidden) this.#ask(0); else this.#moved(); });
    input.addEventListener("keyup", () => this.#moved());
    input.addEventListener("keydown", (event) => this.#onKey(event));
    box.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.stopPropagation(); input.focus(); this.#close(); } });
    box.addEventListener("pointerdown", (event) => event.preventDefault()); /* keeps the focus */
    box.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (event.target.closest("button")) this.#forgetAll();
      else if (option && event.target.closest(".forget")) this.#forget(option);
      else if (option) this.#take(option);
    });
    input.form.addEventListener("submit", () => { this.#close(); this.#keep(); });
    input.form.addEventListener("focusout", ({ relatedTarget }) => {
      if (box.contains(relatedTarget) || document.activeElement === input) return; /* the window lost it, not the box */
      this.#close();
      if (this.live) this.#keep();
    });
  }

  #onKey(event) {
    const { key } = event;
    if (event.isComposing || event.ctrlKey || event.metaKey) return;
    const chosen = this.list.querySelector("[aria-selected=true]");
    if (this.box.hidden) {
      if (key === "ArrowDown" && event.altKey) { event.preventDefault(); this.#ask(0); }
      else if (key === "ArrowDown") { const first = document.querySelector("#list .row .subj"); if (first) { event.preventDefault(); first.focus(); } }
      else if (key === "Escape") { event.preventDefault(); event.stopPropagation(); this.#leave(); }
      return;
    }
    if (key === "ArrowDown" || key === "ArrowUp") { event.preventDefault(); this.#mark(key === "ArrowDown" ? 1 : -1); }
    else if (key === "Escape") { event.preventDefault(); event.stopPropagation(); this.#close(); }
    else if (chosen && (key === "Enter" || (key === "Tab" && !event.shiftKey))) { event.preventDefault(); this.#take(chosen); }
    else if (chosen && key === "Delete" && chosen.dataset.id) { event.preventDefault(); this.#forget(chosen); }
  }

  /* To the list: to the row that is open, or the first. */
  #leave() { (document.querySelector("#list .row[aria-current] .subj") ?? document.querySelector("#list .row .subj"))?.focus(); this.input.blur(); }

  /* What was offered belongs to where the cursor was. */
  #moved() { if (!this.box.hidden && this.input.value && this.input.selectionStart !== this.at) this.#close(); }

  #ask(pause) {
    clearTimeout(this.timer);
    this.asked?.abort();
    this.timer = setTimeout(() => this.#fetch(), pause);
  }

  async #fetch() {
    const { value, selectionStart } = this.input;
    this.asked = new AbortController();
    const at = [...value.slice(0, selectionStart)].length; /* in characters, as the server counts them */
    try {
      const answer = await fetch(`${this.words.completions}?${new URLSearchParams({ q: value, at })}`, { signal: this.asked.signal, headers: { Accept: "application/json" } });
      const said = answer.ok && !answer.redirected ? await answer.json() : null;
      if (said && this.input.value === value && this.input.selectionStart === selectionStart && document.activeElement === this.input) this.#offer(said);
    } catch (error) {
      if (error.name !== "AbortError" && !(error instanceof TypeError)) throw error; /* without a line one types all of it */
    }
  }

  #offer({ recent, choices, start, end }) {
    const options = recent ? recent.map((one) => this.#option(one.text, { id: one.pk, text: one.text })) : choices.map((one) => this.#option(one.shown, { text: one.text }, one.beside));
    this.place = [start, end];
    this.at = this.input.selectionStart;
    this.text = this.input.value;
    options.forEach((option, number) => { option.id = `${this.list.id}-${number}`; });
    this.list.replaceChildren(...options);
    this.title.textContent = recent ? this.words.recent : this.words.choices;
    this.title.classList.toggle("vh", !recent);
    this.all.hidden = !recent;
    this.box.classList.toggle("recent", Boolean(recent));
    this.#open(options.length);
    if (options.length) this.said.textContent = recent ? `${this.words.recent}: ${options.length}. ${this.words.removal}` : this.words.suggested.replace("{n}", options.length);
  }

  #option(shown, data, beside = "") {
    const option = make("li", {}, make("span", { className: "clip", dir: "auto", textContent: shown }));
    if (beside) option.append(make("small", { className: "clip", textContent: beside }));
    if (data.id) { option.prepend(icon("clock")); const forget = make("span", { className: "forget" }, icon("x")); forget.ariaHidden = "true"; option.append(forget); }
    Object.assign(option.dataset, data);
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", "false");
    return option;
  }

  #unmark() {
    for (const one of this.list.children) one.setAttribute("aria-selected", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  #mark(step) {
    const options = [...this.list.children];
    const at = options.findIndex((one) => one.ariaSelected === "true");
    this.#unmark();
    const next = options[at < 0 && step < 0 ? options.length - 1 : (at + step + options.length) % options.length];
    next.setAttribute("aria-selected", "true");
    next.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.input.setAttribute("aria-activedescendant", next.id);
  }

  #take(option) {
    if (this.text !== this.input.value) return; /* typed on since then */
    const { text, id } = option.dataset;
    const letters = [...this.input.value];
    const [start, end] = id ? [0, letters.length] : this.place;
    const rest = letters.slice(end).join("");
    const before = letters.slice(0, start).join("") + text + (id || text.endsWith(":") || /^\s/.test(rest) ? "" : " ");
    this.input.value = before + rest;
    this.input.setSelectionRange(before.length, before.length);
    this.#close();
    this.input.focus();
    if (id && !this.live) { this.input.form.requestSubmit(); return; }
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #forget(option) {
    post(this.words.forget, { id: option.dataset.id });
    if (option.ariaSelected === "true") this.input.removeAttribute("aria-activedescendant");
    option.remove();
    this.said.textContent = this.words.forgotten;
    this.#open(this.list.children.length);
  }

  #forgetAll() {
    post(this.words.forget, {});
    this.input.focus();
    this.#close();
    this.said.textContent = this.words.forgotten;
  }

  /* It was really searched for. */
  #keep() {
    const text = this.input.value.trim();
    if (!text || text === this.used) return;
    this.used = text;
    post(this.words.remember, { q: text });
  }

  #open(number) {
    this.box.hidden = !number;
    this.input.setAttribute("aria-expanded", String(number > 0));
    this.input.removeAttribute("aria-activedescendant");
  }

  #close() {
    clearTimeout(this.timer);
    this.asked?.abort();
    this.list.replaceChildren();
    this.said.textContent = "";
    this.#open(0);
  }
}

/* While results follow what is typed, so do the mark in the sidebar and the title; how many there are is said. */
function follow() {
  const input = document.querySelector("form.find [hx-get]");
  if (!input) return;
  const text = input.value.trim();
  let name = text;
  for (const link of document.querySelectorAll("#searches a")) {
    const here = link.dataset.query === text;
    if (here) name = link.querySelector(".clip").textContent;
    if (here) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  const said = document.getElementById("found-said");
  const count = document.getElementById("found-count")?.textContent ?? document.querySelector("#found .blank h2")?.textContent ?? "";
  if (said && said.textContent !== count) said.textContent = count;
  document.title = [name, input.form.dataset.title, "Postkasse"].filter(Boolean).join(" · ");
}

const known = new WeakSet();
function mount() {
  for (const input of document.querySelectorAll("form.find [type=search]")) {
    if (known.has(input)) continue;
    known.add(input);
    new SearchBox(input);
  }
}
document.addEventListener("htmx:afterSettle", () => { mount(); follow(); });
mount();
