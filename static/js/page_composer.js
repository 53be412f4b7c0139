/* The composer that is a page: its address follows the draft. */
import { Composer } from "./composer.js";

const alone = () => document.querySelector(".app.alone") !== null;

class Page {
  number = 0;

  get host() { return document.getElementById("main"); }

  saved(said) { history.replaceState(null, "", said.url + (alone() ? "?alone=1" : "")); }

  renewed(_next, url) { if (new URL(url).pathname.startsWith("/drafts/")) history.replaceState(null, "", url); }

  done() { location.assign("/"); }

  titled(subject) { if (subject) this.host.querySelector("h1").textContent = subject; }
}

export function mount() {
  const form = document.getElementById("composer");
  if (form && !form.composer) new Composer(form, new Page());
}

mount();
/* Its keys work wherever on the page one is. */
document.addEventListener("keydown", (event) => {
  const composer = document.getElementById("composer")?.composer;
  if (composer && !composer.form.contains(event.target)) composer.key(event);
}, true);
document.addEventListener("click", async (event) => {
  const link = event.target.closest("[data-own-window]");
  const composer = document.getElementById("composer")?.composer;
  if (!link || !composer) return;
  event.preventDefault();
  if (!(await composer.save())) return;
  const own = new URL(composer.form.action);
  own.searchParams.set("alone", "1");
  if (window.open(own.href, "_blank", "popup,width=760,height=720")) location.assign("/");
});
