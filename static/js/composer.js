/* A form that a message is written in: saves by itself, keeps in this browser what no server has yet, hands in.

   `place` is where the form stands, the page (number 0) or a window in it; it is told what becomes of the form:
     saved(said)          the server has it, at said.url
     renewed(form, url)   the form was replaced by the server's newer one
     done(page)           the message left or was thrown away; `page` is what the server showed
   State: clean (the server has it all) -> typed -> saving -> clean, or kept (here only; tried again), or stopped, when two
   versions clash or the message has left. */
import { Kept } from "./kept.js";
import { People } from "./chips.js";
import { Uploads } from "./uploads.js";

const PAUSE = 1300, LONGEST = 4000; /* milliseconds from the last key, and from the first, to a save */
const AGAIN = [2000, 5000, 15_000, 30_000, 60_000]; /* after failures; the last one for as long as it takes */
const FIELDS = ["to", "cc", "bcc", "reply_to", "subject", "text", "html", "identity", "priority", "wants_receipt", "wants_delivery_report"];
const KEEPALIVE = 60_000; /* octets that a browser sends for a page that is gone */
const SWAPPED = /^(rich|plain|identity|restore|template-)/; /* what the server does to the text */

const same = (one, other) => FIELDS.every((name) => (one[name] ?? "") === (other[name] ?? ""));

export class Composer {
  constructor(form, place) {
    Object.assign(this, { form, place, words: form.dataset, leaving: "handedIn" in form.dataset, stopped: false, failures: 0 });
    form.composer = this;
    form.classList.add("live");
    this.notes = form.querySelector("[data-notes]");
    this.note = form.querySelector("[data-saved]");
    this.kept = new Kept(form);
    this.saving = Promise.resolve(true);
    this.ended = new AbortController();
    this.clean = this.#asServed();
    this.people = [...form.querySelectorAll("[data-people]")].map((input) => new People(input, form.dataset));
    this.uploads = new Uploads(this);
    this.#restore();
    this.#listen();
    const frame = form.querySelector("[data-rich]");
    this.rich = frame ? import("./rich.js").then(({ Rich }) => new Rich(this, frame)) : null;
    if (this.dirty) this.typed(); /* before this script was here */
  }

  /* --- what is written --- */

  /* By its name alone: form.elements knows ids, too. */
  field(name) { return this.form.querySelector(`[name="${name}"]`); }

  values() {
    const found = {};
    for (const name of FIELDS) {
      const field = this.field(name);
      if (field) found[name] = field.type === "checkbox" ? (field.checked ? field.value : "") : field.value;
    }
    return found;
  }

  /* What the server put into the page, whatever was typed since. */
  #asServed() {
    const found = {};
    for (const name of FIELDS) {
      const field = this.field(name);
      if (!field) continue;
      if (field.type === "checkbox") found[name] = field.defaultChecked ? field.value : "";
      else if (field.options) found[name] = ([...field.options].find((one) => one.defaultSelected) ?? field.options[0]).value;
      else found[name] = field.type === "hidden" ? field.value : field.defaultValue;
    }
    return found;
  }

  put(fields) {
    for (const name of FIELDS) {
      const field = this.field(name);
      if (!field || typeof fields[name] !== "string") continue;
      const people = this.people.find((one) => one.truth === field);
      if (people) people.value = fields[name];
      else if (field.type === "checkbox") field.checked = Boolean(fields[name]);
      else field.value = fields[name];
    }
    if (fields.cc || fields.bcc) this.form.querySelector(".ccs").open = true;
  }

  get dirty() { return !same(this.values(), this.clean); }

  data(button, more = {}) {
    const data = new FormData(this.form);
    data.delete("files");
    data.set("do", button);
    for (const [name, value] of Object.entries(more)) data.set(name, value);
    return data;
  }

  /* --- saving --- */

  typed() {
    if (this.leaving || this.stopped) return;
    const now = performance.now();
    this.since ??= now;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), Math.max(0, Math.min(PAUSE, this.since + LONGEST - now)));
  }

  /* True once the server has everything; `always` also where nothing was typed, so that there is a draft. */
  save(always = false) {
    clearTimeout(this.timer);
    this.saving = this.saving.then(() => this.#save(always));
    return this.saving;
  }

  async #save(always) {
    if (this.leaving || this.stopped) return !this.stopped;
    if (!always && !this.dirty) return true;
    this.since = null;
    const now = this.values();
    this.kept.write(now);
    let answer;
    try {
      answer = await this.#hand(now);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      return this.#failed(this.words.failed);
    }
    const said = answer.headers.get("Content-Type")?.startsWith("application/json") ? await answer.json() : {};
    if (answer.ok && said.id) return this.#saved(said, now);
    if (said.conflict) return this.#clash(said.conflict);
    if (said.error) { this.#say(said.error, true); return false; } /* until it is written anew */
    if (said.ended) return this.#ended(said.ended);
    if (said.signed_out) return this.#signedOut(said);
    return this.#failed(this.words.refused);
  }

  async #hand(now, renewed = false) {
    const body = this.data("save");
    const small = Object.values(now).join("").length * 2 < KEEPALIVE;
    const answer = await fetch(this.form.action, { method: "POST", body, keepalive: small, headers: { Accept: "application/json" } });
    if (answer.status !== 403 || renewed || answer.headers.get("Content-Type")?.startsWith("application/json")) return answer;
    await this.renewToken();
    return this.#hand(now, true);
  }

  /* Who signs in anew gets another token for forms (RFC 9110 knows nothing of it: a 403 of Django's). */
  async renewToken() {
    const answer = await fetch(this.form.action, { headers: { "X-Composer": String(this.place.number) } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("form.composer [name=csrfmiddlewaretoken]")?.value;
    if (!fresh) return;
    for (const field of document.querySelectorAll("[name=csrfmiddlewaretoken]")) field.value = fresh;
    document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRFToken": fresh }));
  }

  get token() { return this.form.elements.csrfmiddlewaretoken.value; }

  #saved(said, now) {
    this.failures = 0;
    this.form.elements.revision.value = said.revision;
    this.kept.forget();
    this.form.action = said.url;
    this.form.dataset.uploads = said.uploads;
    const asTemplate = this.form.querySelector("[data-as-template]");
    asTemplate.search = `?draft=${said.id}`;
    this.clean = now;
    this.#say(said.saved);
    this.#tell("state", said.note ?? "");
    this.place.saved(said);
    if (this.dirty) this.typed();
    return true;
  }

  #failed(words) {
    this.#say(words, true);
    const wait = AGAIN[Math.min(this.failures, AGAIN.length - 1)];
    this.failures += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), wait);
    return false;
  }

  #signedOut(said) {
    const link = Object.assign(document.createElement("a"), { className: "btn small", href: said.sign_in, target: "_blank", rel: "noopener", textContent: this.words.signIn });
    this.#tell("state", said.signed_out, link);
    return this.#failed(this.words.failed);
  }

  /* The message left in another window, and nothing else is written here. */
  #ended(words) {
    this.stopped = true;
    this.kept.forget();
    this.#tell("state", words);
    return false;
  }

  #clash(words) {
    this.stopped = true;
    const button = Object.assign(document.createElement("button"), { type: "button", className: "btn small", textContent: this.words.both });
    button.addEventListener("click", () => { if (!this.leaving) this.#leave("save"); });
    this.#tell("state", words, button);
    return false;
  }

  #say(text, wrong = false) {
    this.note.classList.toggle("wrong", wrong);
    const said = this.note.querySelector("span");
    if (said.textContent !== text) said.textContent = text;
  }

  /* A note above the lines; each kind once. */
  #tell(kind, text, ...actions) {
    this.notes.querySelector(`[data-kind="${kind}"]`)?.remove();
    if (!text) return null;
    const note = Object.assign(document.createElement("div"), { className: "note warn", role: "status" });
    note.dataset.kind = kind;
    note.append(Object.assign(document.createElement("span"), { className: "grow", textContent: text }), ...actions);
    this.notes.append(note);
    return note;
  }

  /* --- what an earlier visit could not hand to the server --- */

  #restore() {
    if ("answers" in this.form.dataset) this.kept.arrived();
    const kept = this.kept.read();
    if (!kept) return;
    if (same(kept.fields, this.clean)) { this.kept.forget(); this.kept.forgetAside(); return; }
    if (kept.revision === this.form.elements.revision.value) { this.#bringBack(kept); return; }
    this.kept.setAside();
    this.#tell("restored", this.words.older, this.#button(this.words.restore, () => { this.kept.forgetAside(); this.#bringBack(kept); }));
  }

  #bringBack(kept) {
    const before = this.clean;
    const rich = "html" in kept.fields || "html" in before;
    if (kept.token && this.form.elements.token) this.form.elements.token.value = kept.token; /* so that it is one draft */
    if (rich) { /* the server cleans it before it is shown */
      this.#swap("restore", { html: "", ...kept.fields }, (fresh) => fresh.#restored(before, kept.fields));
      return;
    }
    this.put(kept.fields);
    this.#restored(before, kept.fields);
    this.typed();
  }

  /* Undo leaves alone what was typed since. */
  #restored(before, restored) {
    const undo = this.#button(this.words.undo, () => {
      this.#tell("restored", "");
      const now = this.values();
      const typed = Object.keys(now).filter((name) => now[name] !== (restored[name] ?? now[name]));
      const back = { ...before, ...Object.fromEntries(typed.map((name) => [name, now[name]])) };
      if ("html" in before || this.form.elements.html) { this.#swap("restore", { html: "", ...back }); return; }
      this.put(back);
      this.typed();
    });
    this.#tell("restored", this.words.restored, undo);
  }

  #button(text, act) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "btn quiet small", textContent: text });
    button.addEventListener("click", act);
    return button;
  }

  /* --- handing in --- */

  async submit(button) {
    for (const one of this.people) one.commit();
    if (this.leaving) return;
    const sends = /^(send|later)/.test(button);
    if (sends && !(await this.#filesArrived())) return;
    if (button === "save") { await this.save(true); return; }
    if (SWAPPED.test(button)) { await this.#swap(button); return; }
    if (this.place.number) { await this.#swap(button); return; }
    if (await this.#quiet()) this.#leave(button);
  }

  async #filesArrived() {
    if (!this.uploads.busy) return true;
    const cancelled = new Promise((resolve) => this.#tell("sends", this.words.sends, this.#button(this.words.cancel, () => resolve("cancelled"))));
    const came = await Promise.race([this.uploads.settled(), cancelled]);
    this.#tell("sends", came === false ? this.words.unsent : "");
    return came === true;
  }

  /* Nothing is under way any more, and nothing begins. False if another button was pressed meanwhile: that one counts. */
  async #quiet() {
    const pressed = this.pressed = {};
    for (let last = null; last !== this.saving;) {
      clearTimeout(this.timer);
      last = this.saving;
      await last;
    }
    if (this.pressed !== pressed) return false;
    clearTimeout(this.timer);
    this.leaving = true;
    return true;
  }

  /* The whole page goes on to what the server answers. */
  #leave(button) {
    this.leaving = true; /* also where nothing was waited for: two versions clash */
    clearTimeout(this.timer);
    this.kept.write(this.values()); /* until a page of ours shows that it arrived (app.js): the sign-in may have run out */
    sessionStorage.setItem("handed-in", this.kept.key);
    this.form.querySelector("input[type=file]").value = "";
    this.form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "do", value: button }));
    this.form.submit();
  }

  /* The form's next state comes from the server, and the page stays. */
  async #swap(button, more = {}, then = () => {}) {
    if (this.leaving || !(await this.#quiet())) return;
    this.form.setAttribute("aria-busy", "true");
    try {
      const answer = await this.#fetch(button, more);
      if (new URL(answer.url).pathname.startsWith("/sign-in/")) { this.kept.write(this.values()); location.assign(answer.url); return; }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("form.composer");
      if (fresh) then(this.#renew(fresh, answer.url));
      else if (answer.status === 409) this.#leave(button);
      else if (answer.ok) { this.kept.forget(); this.close(); this.place.done(page); }
      else this.#stay(this.words.refused);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      this.#stay(this.words.failed);
    }
  }

  async #fetch(button, more, renewed = false) {
    const answer = await fetch(this.form.action, { method: "POST", body: this.data(button, more), headers: { "X-Composer": String(this.place.number) } });
    if (answer.status !== 403 || renewed) return answer;
    await this.renewToken();
    return this.#fetch(button, more, true);
  }

  #stay(words) {
    this.leaving = false;
    this.form.removeAttribute("aria-busy");
    this.#failed(words);
  }

  #renew(fresh, url) {
    const name = document.activeElement?.closest("form") === this.form ? document.activeElement.name : "";
    this.kept.forget();
    this.close();
    this.form.replaceWith(document.adoptNode(fresh));
    const next = new Composer(fresh, this.place);
    this.place.renewed(next, url);
    const focus = (name && fresh.querySelector(`[name="${name}"]`)) || fresh.elements.text;
    if (focus?.type !== "hidden") focus?.focus?.();
    return next;
  }

  /* The form goes; nothing of it acts any more. */
  close() {
    clearTimeout(this.timer);
    this.ended.abort();
    this.uploads.close();
  }

  /* --- what happens to the form --- */

  #listen() {
    const { form } = this;
    const { signal } = this.ended;
    form.addEventListener("input", (event) => {
      if (event.target.type === "file") return;
      this.typed();
      this.place.titled?.(form.elements.subject.value);
    }, { signal });
    form.addEventListener("change", (event) => {
      if (event.target.name !== "identity") return;
      form.querySelector(".from").dataset.acc = event.target.selectedOptions[0].dataset.acc;
      this.#swap("identity"); /* the signature goes with it */
    }, { signal });
    form.addEventListener("submit", (event) => { event.preventDefault(); this.submit(event.submitter?.value ?? "save"); }, { signal });
    form.addEventListener("keydown", (event) => this.key(event), { signal });
    const now = () => { if (this.dirty && !this.leaving) this.save(); };
    addEventListener("online", now, { signal });
    addEventListener("focus", () => { if (this.failures) now(); }, { signal });
    document.addEventListener("visibilitychange", () => { if (document.hidden || this.failures) now(); }, { signal });
    addEventListener("pagehide", () => { if (!this.leaving && this.dirty && !this.stopped) { this.kept.write(this.values()); this.#hand(this.values()).catch(() => null); } }, { signal });
    addEventListener("pageshow", (event) => { if (event.persisted) this.leaving = false; }, { signal });
  }

  /* Keys that buttons of the form say in data-key, wherever in it one is; also from the frame of rich text. */
  key(event) {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.isComposing) return false;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const button = this.form.querySelector(`[data-key="mod+${event.shiftKey ? "Shift+" : ""}${CSS.escape(key)}"]`);
    if (!button) return false;
    event.preventDefault();
    event.stopPropagation();
    this.submit(button.value);
    return true;
  }
}
