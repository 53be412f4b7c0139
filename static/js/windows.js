/* Composers in the page: windows that stay while one reads on, and come back with the next page. */
const WIDE = matchMedia("(width >= 900px)");
const OPEN = "composers"; /* in the session's storage: the addresses that are open, in order */
const STALE = 5000; /* milliseconds that a form asked for ahead is good for */
const MAX = 6;
let numbers = 0;
let ahead = null;
const open = [];

const script = () => import("./composer.js"); /* loaded when somebody is about to write */
const ask = (url, number) => fetch(url, { headers: { "X-Composer": String(number) } });

function remember() {
  const known = open.filter((one) => !one.closed).map(({ url, small }) => ({ url, small }));
  if (known.length) sessionStorage.setItem(OPEN, JSON.stringify(known)); else sessionStorage.removeItem(OPEN);
}

function host() {
  let found = document.getElementById("windows");
  if (!found) { found = Object.assign(document.createElement("div"), { id: "windows" }); document.body.append(found); }
  return found;
}

class Docked {
  constructor(url, title, small = false) {
    this.url = url;
    this.number = numbers += 1;
    this.small = small;
    const template = document.getElementById("window-shape");
    this.host = template.content.firstElementChild.cloneNode(true);
    this.host.classList.toggle("small", small);
    this.title = this.host.querySelector("[data-window-title]");
    this.body = this.host.querySelector("[data-window-body]");
    this.#name(title);
    this.host.addEventListener("click", (event) => this.#clicked(event));
    this.host.addEventListener("keydown", (event) => { if (event.key === "Escape" && !event.defaultPrevented && !this.host.querySelector("details.drop[open]")) { event.stopPropagation(); this.shrink(!this.small); } });
    host().prepend(this.host);
    open.push(this);
  }

  async fill(asked) {
    let answer;
    try { answer = await asked; } catch { location.assign(this.url); return; }
    const [text, { Composer }] = await Promise.all([answer.text(), script()]);
    const form = new DOMParser().parseFromString(text, "text/html").querySelector("form.composer");
    if (!form) { this.gone(); location.assign(this.url); return; }
    this.body.replaceChildren(document.adoptNode(form));
    this.composer = new Composer(form, this);
    if (new URL(answer.url).pathname.startsWith("/drafts/")) this.url = new URL(answer.url).pathname;
    this.titled(form.elements.subject.value || form.dataset.title);
    remember();
  }

  focus() {
    const { form } = this.composer ?? {};
    if (!form) return;
    const to = form.querySelector("input[role=combobox]");
    const text = form.elements.text;
    if (!this.composer.field("to").value) to.focus();
    else if (text) { text.focus(); text.setSelectionRange(0, 0); text.scrollTop = 0; }
    else this.composer.rich?.then((rich) => rich.focus());
  }

  #name(title) { this.title.textContent = title; this.host.setAttribute("aria-label", title); }

  titled(subject) { if (subject) this.#name(subject); }

  saved(said) { this.url = said.url; remember(); }

  renewed(next, url) {
    this.composer = next;
    if (new URL(url).pathname.startsWith("/drafts/")) this.url = new URL(url).pathname;
    remember();
  }

  done(page) {
    this.gone();
    const said = page.getElementById("toast");
    const toast = document.getElementById("toast");
    if (said && toast) { toast.replaceChildren(...said.childNodes); window.htmx?.process(toast); }
  }

  shrink(small) {
    this.small = small;
    this.host.classList.toggle("small", small);
    this.host.querySelector("[data-window=shrink]").setAttribute("aria-expanded", String(!small));
    if (small) this.title.focus(); else this.focus();
    remember();
  }

  gone() {
    this.closed = true;
    this.composer?.close();
    this.host.remove();
    open.splice(open.indexOf(this), 1);
    remember();
  }

  async #clicked(event) {
    const what = event.target.closest("[data-window]")?.dataset.window;
    if (!what) return;
    event.preventDefault();
    if (what === "shrink") { this.shrink(!this.small); return; }
    const { composer } = this;
    if (composer) {
      for (const one of composer.people) one.commit();
      if (composer.dirty && !(await composer.save())) return; /* the note in it says why */
    }
    this.gone();
    if (what === "page") location.assign(this.url);
    if (what === "alone") openAlone(this.url);
  }
}

export function openAlone(url) {
  const own = new URL(url, location.href);
  own.searchParams.set("alone", "1");
  return window.open(own.href, "_blank", "popup,width=760,height=720");
}

/* Those that no longer fit beside the newest are made small. */
function fit() {
  let room = innerWidth - 48;
  for (const one of [...open].reverse()) {
    room -= one.small ? 240 : 576;
    if (room < 0 && !one.small && one !== open.at(-1)) { one.small = true; one.host.classList.add("small"); }
  }
}

function start(url, title) {
  if (open.length >= MAX) { location.assign(url); return; }
  const again = open.find((one) => one.url === url && !one.composer?.dirty && url !== "/compose/");
  if (again) { again.shrink(false); return; }
  script();
  const asked = ahead?.url === url && performance.now() - ahead.at < STALE ? ahead : null;
  const docked = new Docked(url, title);
  if (asked) docked.number = asked.number;
  ahead = null;
  fit();
  docked.fill(asked ? asked.answer : ask(url, docked.number)).then(() => docked.focus());
}

function wanted(event) {
  const link = event.target.closest?.('a[href^="/compose/"]');
  if (!link || !WIDE.matches || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || link.target || link.closest("form.composer")) return null;
  return document.querySelector(".app[data-view=compose] form.composer") || !document.getElementById("window-shape") ? null : link;
}

/* What a press begins is there when the click ends. */
document.addEventListener("pointerdown", (event) => {
  const link = wanted(event);
  if (!link) return;
  const url = link.getAttribute("href");
  const number = numbers += 1;
  ahead = { url, number, at: performance.now(), answer: ask(url, number) };
  ahead.answer.catch(() => null);
  script();
}, true);

document.addEventListener("click", (event) => {
  const link = wanted(event);
  if (!link) return;
  event.preventDefault();
  event.stopPropagation();
  for (const menu of document.querySelectorAll("details.drop[open]")) menu.open = false;
  start(link.getAttribute("href"), link.getAttribute("aria-label") || link.textContent.trim());
}, true);

function bringBack() {
  if (!WIDE.matches || !document.getElementById("window-shape") || document.querySelector(".app[data-view=compose] form.composer")) return;
  let known;
  try { known = JSON.parse(sessionStorage.getItem(OPEN) ?? "[]"); } catch { known = []; }
  for (const { url, small } of known.slice(0, MAX)) {
    if (!/^\/(drafts|compose)\//.test(url)) continue;
    const docked = new Docked(url, "…", small);
    docked.fill(ask(url, docked.number));
  }
  fit();
}

bringBack();
document.documentElement.classList.add("live"); /* from now on, writing opens here */
