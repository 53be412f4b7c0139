/* New mail and changes made elsewhere appear by themselves: the server says that something changed, the page asks what. */
import { tick, ticked } from "./selection.js";

const PAUSE = 250;
let timer = 0;

function refresh() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const list = document.getElementById("list");
    const outbox = document.getElementById("outbox");
    const source = list ? "#list" : outbox ? "#outbox" : "#nav";
    if (document.querySelector("#list .drop[open], #list .pick:focus") || document.querySelector(".acct:not([open])")) keepMenus();
    htmx.ajax("GET", location.pathname + location.search, { target: source, select: source, swap: "outerHTML", headers: { "X-Background": "1" }, selectOOB: source === "#nav" ? undefined : "#nav" });
  }, PAUSE);
}

/* Folders that the person folded away stay folded. */
let folded = new Set();
function keepMenus() { folded = new Set([...document.querySelectorAll(".acct:not([open]) .dim")].map((e) => e.textContent)); }

/* What the person does comes first: an answer to a question of ours that crosses it is thrown away and asked for again. */
let actingUntil = 0; /* a time, not a count: the end of a request whose form has left the page is not announced */
const ACTING_MS = 3000;
const background = (event) => event.detail.requestConfig?.headers["X-Background"];
document.addEventListener("htmx:beforeRequest", (event) => { if (!background(event)) actingUntil = performance.now() + ACTING_MS; });
document.addEventListener("htmx:afterRequest", (event) => { if (!background(event)) actingUntil = 0; });
document.addEventListener("htmx:beforeSwap", (event) => {
  if (background(event) && (performance.now() < actingUntil || !event.detail.xhr.responseURL.endsWith(location.pathname + location.search))) { event.detail.shouldSwap = false; refresh(); }
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
  const id = document.getElementById("read")?.dataset.message;
  if (id) document.getElementById(`m${id}`)?.setAttribute("aria-current", "true");
  retitle();
  kept = null;
});

function retitle() {
  const list = document.getElementById("list");
  if (!list || document.getElementById("read")?.dataset.message) return;
  const unread = Number(list.dataset.unread || 0);
  document.title = document.title.replace(/^\(\d+\) /, "");
  if (unread) document.title = `(${unread}) ${document.title}`;
}

const url = document.body.dataset.events;
if (url) {
  const source = new EventSource(url);
  for (const kind of ["mailbox", "operation", "outbox", "account"]) source.addEventListener(kind, refresh);
  addEventListener("pagehide", () => source.close());
}
