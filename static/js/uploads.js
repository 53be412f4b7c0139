/* Files on their way into a draft: in pieces, three at once, each with its progress; a break costs one piece. */

const AT_ONCE = 3;
const AGAIN = [1000, 2000, 4000, 8000, 15_000, 30_000]; /* milliseconds; a file that fails once more is given up */

const wait = (ms, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
});

export function octets(size) {
  if (size < 1000) return `${size} B`;
  const [unit, factor] = size < 1e6 ? ["kB", 1e3] : ["MB", 1e6];
  return `${(size / factor).toFixed(size < 1e7 && unit === "MB" ? 1 : 0)} ${unit}`;
}

/* The same file chosen again goes on where it was (32-bit FNV-1a of its name; crypto.subtle needs https). */
export function keyOf(file) {
  let hash = 0x811c9dc5;
  for (const letter of file.name) hash = Math.imul(hash ^ letter.codePointAt(0), 0x01000193) >>> 0;
  return `${hash.toString(36)}-${file.size.toString(36)}-${file.lastModified.toString(36)}`;
}

class Failed extends Error {}

export class Uploads {
  constructor(composer) {
    this.composer = composer;
    this.form = composer.form;
    this.words = composer.words;
    this.list = this.form.querySelector("[data-files]");
    this.room = Number(this.words.room);
    this.running = new Map(); /* of each file under way: its key, and how to end it */
    this.queue = [];
    this.failed = 0;
    this.waiting = [];
    this.#listen();
    if (this.words.uploads) this.#findBroken();
  }

  get busy() { return this.running.size + this.queue.length > 0; }

  /* When nothing is under way any more: whether all of it came. */
  settled() { return this.busy ? new Promise((resolve) => this.waiting.push(resolve)) : Promise.resolve(true); }

  close() {
    for (const { ended } of this.running.values()) ended.abort();
    this.queue = [];
  }

  add(files, inline = false) { return Promise.all([...files].map((file) => this.#begin(file, inline))); }

  /* Resolves to what the server says of the file once it is there, or to null. */
  #begin(file, inline) {
    const key = (inline ? "i-" : "") + keyOf(file);
    if (this.running.has(key) || this.queue.some((one) => one.key === key)) return Promise.resolve(null);
    this.list.querySelector(`[data-key-of="${key}"]`)?.remove();
    const item = this.#item(file.name, key, inline);
    if (file.size > this.room) {
      this.#wrong(item, this.words.tooLarge.replace("{size}", octets(file.size)).replace("{left}", octets(Math.max(0, this.room))));
      return Promise.resolve(null);
    }
    this.room -= file.size;
    this.#count(item, 0, file.size, this.words.waiting);
    return new Promise((resolve) => {
      const job = { key, file, inline, item, resolve, ended: new AbortController() };
      item.querySelector("button").addEventListener("click", () => this.#cancel(job));
      this.queue.push(job);
      this.#next();
    });
  }

  #next() {
    while (this.running.size < AT_ONCE && this.queue.length) {
      const job = this.queue.shift();
      this.running.set(job.key, job);
      this.#run(job);
    }
    if (this.busy) return;
    const came = !this.failed;
    this.failed = 0;
    for (const resolve of this.waiting.splice(0)) resolve(came);
  }

  async #run(job) {
    let told = null;
    try {
      told = await this.#send(job);
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      this.failed += 1;
      this.room += job.file.size;
      this.#wrong(job.item, error.message || this.words.broken);
    } finally {
      this.running.delete(job.key);
      if (told) this.#arrived(job, told);
      job.resolve(told);
      this.#next();
    }
  }

  async #send(job) {
    const { file, ended: { signal } } = job;
    let told = null;
    for (let failures = 0; !signal.aborted;) {
      try {
        if (!this.words.uploads && !(await this.composer.save(true))) throw new TypeError("no draft yet");
        told ??= await this.#post(this.words.uploads, new URLSearchParams({ key: job.key, name: file.name, size: file.size }), signal);
        if (told.attachment) return told;
        this.#count(job.item, told.received, file.size);
        const at = told.received;
        told = await this.#piece(job, at);
        if (told && !told.attachment && told.received === at) throw new TypeError("no further"); /* not at once, and not for ever */
        failures = 0;
      } catch (error) {
        if (signal.aborted) return null;
        if (!(error instanceof TypeError) || failures >= AGAIN.length) throw error instanceof TypeError ? new Failed(this.words.broken) : error;
        this.#count(job.item, told?.received ?? 0, file.size, this.words.again);
        await wait(AGAIN[failures], signal);
        failures += 1;
        told = null; /* asks how much came */
      }
    }
    return null;
  }

  /* What the server says; a TypeError is worth another try, Failed is not. */
  async #post(url, body, signal, renewed = false) {
    const answer = await fetch(url, { method: "POST", body, signal, headers: { Accept: "application/json", "X-CSRFToken": this.composer.token } });
    const said = answer.headers.get("Content-Type")?.startsWith("application/json") ? await answer.json() : {};
    if (answer.ok && "key" in said) return said;
    if (said.error) throw new Failed(said.error);
    if (answer.status === 403 && !said.signed_out && !renewed) { await this.composer.renewToken(); return this.#post(url, body, signal, true); }
    throw new TypeError(`answered ${answer.status}`);
  }

  /* fetch() tells nothing of its progress, XMLHttpRequest does. */
  #piece(job, offset) {
    const { file, item, ended: { signal } } = job;
    const piece = file.slice(offset, offset + Number(this.words.piece));
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", `${this.words.uploads}${encodeURIComponent(job.key)}/?offset=${offset}${job.inline ? "&inline=1" : ""}`);
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.setRequestHeader("X-CSRFToken", this.composer.token);
      request.setRequestHeader("Accept", "application/json");
      request.responseType = "json";
      request.upload.addEventListener("progress", (event) => this.#count(item, offset + Math.min(event.loaded, piece.size), file.size));
      request.addEventListener("error", () => reject(new TypeError("the line broke")));
      request.addEventListener("abort", () => resolve(null));
      request.addEventListener("load", () => {
        const said = request.response;
        if (said?.attachment || (said && "received" in said)) resolve(said);
        else if (request.status === 413) reject(new Failed(said?.error));
        else reject(new TypeError(`answered ${request.status}`)); /* also 403 and 404: asking anew tells */
      });
      signal.addEventListener("abort", () => request.abort(), { once: true });
      request.send(piece);
    });
  }

  #cancel(job) {
    job.ended.abort();
    job.item.remove();
    this.room += job.file.size;
    const at = this.queue.indexOf(job);
    if (at >= 0) { this.queue.splice(at, 1); job.resolve(null); this.#next(); }
    this.#destroy(job.key);
  }

  #destroy(key) {
    if (this.words.uploads) this.#post(`${this.words.uploads}${encodeURIComponent(key)}/destruction/`, new URLSearchParams()).catch(() => null); /* what stays is forgotten with the draft */
  }

  #arrived(job, told) {
    if (job.inline) { job.item.remove(); return; }
    const { item } = job;
    if (this.list.querySelector(`[data-file="${told.attachment}"]`)) { item.remove(); return; } /* chosen once more */
    item.querySelector("progress")?.remove();
    item.querySelector("small").textContent = octets(told.size);
    item.dataset.file = told.attachment;
    item.dataset.size = told.size;
    item.querySelector("button").replaceWith(this.#remover(told.name, `${this.words.uploads.replace(/uploads\/$/, "files/")}${told.attachment}/destruction/`));
  }

  #remover(name, url) {
    const button = this.#button(name);
    button.dataset.detach = url;
    return button;
  }

  /* --- the list --- */

  #item(name, key, inline) {
    const item = document.createElement("li");
    item.className = "file";
    item.dataset.keyOf = key;
    const icon = this.form.querySelector(".attach .i").cloneNode(true);
    const title = Object.assign(document.createElement("span"), { className: "sm clip" });
    title.append(Object.assign(document.createElement("bdi"), { textContent: name }));
    item.append(icon, title, document.createElement("small"), this.#button(name));
    if (inline) item.classList.add("inline");
    this.list.append(item);
    return item;
  }

  #button(name) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "btn icon quiet small" });
    button.setAttribute("aria-label", this.words.remove.replace("{name}", name));
    const icon = this.form.querySelector(".attach .i").cloneNode(true);
    const use = icon.querySelector("use");
    use.setAttribute("href", `${use.getAttribute("href").split("#")[0]}#i-x`);
    button.append(icon);
    return button;
  }

  #count(item, done, total, words = "") {
    let bar = item.querySelector("progress");
    if (!bar) { bar = document.createElement("progress"); bar.setAttribute("aria-label", item.querySelector("bdi").textContent); item.append(bar); }
    bar.max = Math.max(total, 1);
    bar.value = done;
    item.querySelector("small").textContent = words || this.words.progress.replace("{done}", octets(done)).replace("{total}", octets(total));
  }

  #wrong(item, words) {
    item.classList.add("bad");
    item.querySelector("progress")?.remove();
    const said = item.querySelector("small");
    said.textContent = words;
    said.setAttribute("role", "alert");
    item.querySelector("button").addEventListener("click", () => item.remove());
  }

  /* What an earlier visit had begun waits for its file to be chosen again. */
  async #findBroken() {
    const answer = await fetch(this.words.uploads, { headers: { Accept: "application/json" } }).catch(() => null);
    const said = answer?.ok && !answer.redirected ? await answer.json() : { uploads: [] };
    for (const one of said.uploads) {
      if (this.list.querySelector(`[data-key-of="${CSS.escape(one.key)}"]`)) continue;
      const item = this.#item(one.name, one.key, false);
      this.#count(item, one.received, one.size, this.words.choose.replace("{done}", octets(one.received)).replace("{total}", octets(one.size)));
      item.querySelector("button").addEventListener("click", () => { item.remove(); this.#destroy(one.key); });
    }
  }

  /* --- choosing, dropping, removing --- */

  #listen() {
    const { signal } = this.composer.ended;
    for (const input of this.form.querySelectorAll("input[type=file]")) {
      input.addEventListener("change", () => {
        const files = [...input.files];
        input.value = "";
        if ("picture" in input.dataset) this.composer.rich?.then((rich) => rich.insertPictures(files)); else this.add(files);
      }, { signal });
    }
    this.list.addEventListener("click", (event) => {
      const button = event.target.closest("[data-detach]");
      if (!button) return;
      event.preventDefault();
      this.#detach(button);
    }, { signal });
    const over = (event) => event.dataTransfer?.types.includes("Files");
    let depth = 0;
    this.zone = this.composer.place.host ?? this.form;
    this.zone.addEventListener("dragenter", (event) => { if (over(event)) { depth += 1; this.dropping(true); } }, { signal });
    this.zone.addEventListener("dragleave", (event) => { if (over(event) && (depth -= 1) <= 0) { depth = 0; this.dropping(false); } }, { signal });
    this.zone.addEventListener("dragover", (event) => { if (over(event)) { event.preventDefault(); event.dataTransfer.dropEffect = "copy"; } }, { signal });
    this.zone.addEventListener("drop", (event) => {
      depth = 0;
      this.dropping(false);
      if (!over(event)) return;
      event.preventDefault();
      this.add(event.dataTransfer.files);
    }, { signal });
  }

  dropping(on) { this.form.classList.toggle("dropping", on); }

  async #detach(button) {
    const item = button.closest(".file");
    item.classList.add("going");
    try {
      const answer = await fetch(button.dataset.detach, { method: "POST", headers: { Accept: "application/json", "X-CSRFToken": this.composer.token } });
      if (!answer.ok) throw new TypeError(`answered ${answer.status}`);
      this.room += Number(item.dataset.size || 0);
      item.remove();
    } catch {
      item.classList.remove("going");
      this.#wrong(item, this.words.again);
    }
  }
}
