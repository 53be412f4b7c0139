/* What follows from opening a message in the page: it is marked read, its row is marked, the title follows. */
const csrf = () => JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];

async function markRead() {
  const unread = [...document.querySelectorAll("#read [data-unread]")];
  if (!unread.length) return;
  const data = new FormData();
  for (const message of unread) { data.append("id", message.dataset.unread); delete message.dataset.unread; message.removeAttribute("data-unread"); }
  data.append("quiet", "1");
  data.append("next", "/healthz");
  for (const id of data.getAll("id")) document.getElementById(`m${id}`)?.classList.remove("unread");
  await fetch("/messages/keywords/?set=read", { method: "POST", body: data, headers: { "X-CSRFToken": csrf() }, redirect: "manual" });
}

function opened() {
  const read = document.getElementById("read");
  const id = read?.dataset.row;
  if (read?.dataset.title) document.title = read.dataset.title;
  for (const row of document.querySelectorAll(".row[aria-current]")) row.removeAttribute("aria-current");
  document.getElementById(`m${id}`)?.setAttribute("aria-current", "true");
  const app = document.getElementById("app");
  if (app && id) app.dataset.view = "message";
  markRead();
}

/* On a phone the page itself scrolls: the list is found again where it was left. */
let listY = 0;
document.addEventListener("htmx:beforeRequest", (event) => { if (document.getElementById("app")?.dataset.view === "list") listY = scrollY; });
document.addEventListener("htmx:afterSettle", () => {
  const view = document.getElementById("app")?.dataset.view;
  if (innerWidth < 720 && view === "list" && listY && scrollY !== listY) { scrollTo(0, listY); listY = 0; }
});
document.addEventListener("htmx:afterSwap", (event) => { if (event.detail.target?.getAttribute("id") === "read") { opened(); document.getElementById("read-scroll")?.scrollTo(0, 0); if (innerWidth < 720) scrollTo(0, 0); } });
document.addEventListener("htmx:beforeSwap", (event) => {
  /* A page of ours that says what went wrong is worth showing, whatever its status. */
  if (event.detail.requestConfig.headers["X-Background"]) return;
  if (event.detail.xhr.status >= 400 && event.detail.xhr.getResponseHeader("Content-Type")?.startsWith("text/html")) location.assign(event.detail.pathInfo.finalRequestPath ?? location.href);
});
/* The form that asked may have left the page before the answer came; what the answer says beside it is shown all the same. */
document.addEventListener("htmx:oobErrorNoTarget", (event) => {
  const part = event.detail.content;
  const place = part?.id && document.getElementById(part.id);
  if (!place) return;
  place.replaceWith(part);
  htmx.process(part);
});
if (document.querySelector("#read [data-unread]")) markRead();
addEventListener("popstate", () => location.reload());
