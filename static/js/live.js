/* New mail and changes made elsewhere appear by themselves: the server says that something changed, the page asks what. */
import { operation, over, progress, repaint } from "./progress.js";
import { tick, ticked } from "./selection.js";

const PAUSE = 400, GATHER = 20; /* the first change shows at once, what follows closely on it together */
let timer = 0;
let refreshed = -PAUSE;
let arrived = false; /* new mail since the last refresh began */
let whole = false; /* more than the sidebar may have changed since then */

const here = () => location.pathname + location.search;

function refresh(more = true) {
  clearTimeout(timer);
  whole ||= more;
  timer = setTimeout(() => {
    if (document.getElementById("composer") && !document.getElementById("list")) return; /* a draft's page goes when it is sent */
    if (performance.now() < actingUntil) { refresh(false); return; } /* the answer to what the person just did shows more */
    refreshed = performance.now();
    const list = whole && document.getElementById("list");
    const outbox = whole && document.getElementById("outbox");
    whole = false;
    const source = list ? "#list" : outbox ? "#outbox" : "#nav";
    if (document.querySelector("#list .drop[open], #list .pick:focus") || document.querySelector(".acct:not([open])")) keepMenus();
    const tell = arrived;
    arrived = false;
    htmx.ajax("GET", here(), { target: source, select: source, swap: "outerHTML", headers: { "X-Background": "1" }, selectOOB: source === "#nav" ? undefined : "#nav" }).then(() => { if (tell) announce(); });
  }, Math.max(performance.now() < actingUntil ? PAUSE : GATHER, refreshed + PAUSE - performance.now()));
}

/* Folders that the person folded away stay folded. */
let folded = new Set();
function keepMenus() { folded = new Set([...document.querySelectorAll(".acct:not([open]) .dim")].map((e) => e.textContent)); }

/* What the person does comes first: an answer to a question of ours that crosses it is thrown away and asked for again. */
let actingUntil = 0; /* a time, not a count: the end of a request whose form has left the page is not announced */
const ACTING_MS = 3000, CLICK_MS = 400; /* a row that is replaced between press and release is not clicked */
const background = (event) => event.detail.requestConfig?.headers["X-Background"];
document.addEventListener("pointerdown", () => { actingUntil = Math.max(actingUntil, performance.now() + CLICK_MS); }, true);
document.addEventListener("submit", () => { actingUntil = performance.now() + ACTING_MS; });
document.addEventListener("htmx:beforeRequest", (event) => { if (!background(event)) actingUntil = performance.now() + ACTING_MS; });
document.addEventListener("htmx:afterRequest", (event) => { if (!background(event)) actingUntil = 0; });
document.addEventListener("htmx:beforeSwap", (event) => {
  if (!background(event)) return;
  const crossed = performance.now() < actingUntil || event.detail.requestConfig.path !== here();
  const elsewhere = !event.detail.xhr.responseURL.endsWith(here()); /* led away, as to the sign-in: asking again would not help */
  if (crossed || elsewhere) event.detail.shouldSwap = false;
  if (crossed) refresh();
});

const scrolls = ["list-scroll", "side-scroll", "read-scroll"];
let kept = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  const target = event.detail.target?.getAttribute("id");
  if (!["list", "app", "nav", "outbox"].includes(target)) return;
  keepMenus();
  kept = { picks: ticked(), focus: document.activeElement?.closest(".row")?.id, at: scrolls.map((id) => [id, document.getElementById(id)?.scrollTop]) };
});
document.addEventListener("htmx:afterSettle", () => {
  for (const account of document.querySelectorAll(".acct[open]")) if (folded.has(account.querySelector(".dim")?.textContent)) account.open = false;
  if (!kept) return;
  for (const [id, top] of kept.at) { const element = document.getElementById(id); if (element && top && id !== "read-scroll") element.scrollTop = top; }
  if (kept.picks.length) tick(kept.picks);
  if (kept.focus) document.getElementById(kept.focus)?.querySelector(".subj").focus({ preventScroll: true });
  const id = document.getElementById("read")?.dataset.row;
  if (id) document.getElementById(`m${id}`)?.setAttribute("aria-current", "true");
  retitle();
  repaint();
  kept = null;
});

function retitle() {
  const list = document.getElementById("list");
  if (!list || document.getElementById("read")?.dataset.message) return;
  const unread = Number(list.dataset.unread || 0);
  document.title = document.title.replace(/^\(\d+\) /, "");
  if (unread) document.title = `(${unread}) ${document.title}`;
}

/* A notification when mail came and no page of ours is in sight; one, however many are open. It names what the list
   shows, so that no mail passes through the events. */
const LOOKED = "looking-at-mail";
const words = document.body.dataset.notify;
function announce() {
  if (document.visibilityState === "visible") { localStorage.setItem(LOOKED, Date.now()); return; }
  if (!words || !("Notification" in window) || Notification.permission !== "granted" || Date.now() - Number(localStorage.getItem(LOOKED)) < 3000) return;
  const row = document.querySelector('#list[data-scope="inbox"] .row.unread');
  const [title, body] = row ? [row.querySelector(".from").textContent.trim(), row.querySelector(".s").textContent.trim()] : [words, ""];
  const note = new Notification(title, { body, tag: `postkasse-${document.body.dataset.user}`, silent: true, icon: document.querySelector('link[rel="icon"]')?.href });
  note.onclick = () => { window.focus(); note.close(); };
}

/* The browser asks the person once, and only because they ticked the box. */
const box = document.querySelector("[data-notify][type=checkbox]");
const denied = document.getElementById("notify-denied");
async function permitted() {
  if (!("Notification" in window)) return false;
  return (Notification.permission === "default" ? await Notification.requestPermission() : Notification.permission) === "granted";
}
box?.addEventListener("change", async () => { denied.hidden = !box.checked || (await permitted()); });
if (box?.checked) denied.hidden = "Notification" in window && Notification.permission !== "denied";

/* The stream. The browser itself resumes a broken one by the last id; one that was refused it gives up, so we begin a new
   one from there, each time later. */
const KINDS = ["mailbox", "operation", "outbox", "account", "reload", "progress", "search", "searches"];
const LONGEST_WAIT = 300_000;
const url = document.body.dataset.events;
let source = null;
let heard = "";
let wait = 2000;

/* Progress is shown as it is told; only that it begins is a reason to ask, for the strip to show it in. */
const begun = new Set();
function begins(told) {
  if (progress(told) || begun.has(told.account)) return false;
  begun.add(told.account);
  return true;
}

function listen() {
  source = new EventSource(heard ? `${url.split("?")[0]}?after=${heard}` : url);
  for (const kind of KINDS) source.addEventListener(kind, (event) => {
    heard = event.lastEventId;
    const told = JSON.parse(event.data || "{}");
    if (kind === "mailbox" && told.arrived) arrived = true;
    if (kind === "operation" && told.batch) operation(told);
    if (kind === "account") { begun.delete(told.id); over(told.id); }
    if (kind === "progress" && !begins(told)) return;
    refresh(kind !== "searches");
  });
  source.addEventListener("open", () => { wait = 2000; });
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(listen, wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, LONGEST_WAIT);
  });
}
if (url) {
  listen();
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
}
