/* Comfort for what stands around a message: its page for paper opens with the dialogue, addresses are copied. */
document.addEventListener("click", (event) => {
  const print = event.target.closest("a[data-print]");
  if (!print) return;
  const paper = window.open(print.href);
  if (!paper) return;
  event.preventDefault();
  paper.addEventListener("load", () => paper.print());
});

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (!copy) return;
  event.preventDefault();
  const of = copy.dataset.copy.startsWith("#") ? document.querySelector(copy.dataset.copy).textContent : copy.dataset.copy;
  await navigator.clipboard.writeText(of);
  const told = document.getElementById("toast");
  copy.classList.add("done");
  if (told) { told.replaceChildren(Object.assign(document.createElement("div"), { className: "toast", textContent: copy.dataset.copied })); setTimeout(() => { told.replaceChildren(); copy.classList.remove("done"); }, 2500); }
});

/* Where a browser has no clipboard for us, the addresses can be marked and copied by hand. */
if (navigator.clipboard) document.documentElement.classList.add("can-copy");

/* Mail links of other pages are opened here, if the browser can and the person wants it. */
const links = document.getElementById("mail-links");
if (links && navigator.registerProtocolHandler) {
  links.hidden = false;
  links.querySelector("button").addEventListener("click", ({ currentTarget: button }) => {
    navigator.registerProtocolHandler("mailto", location.origin + button.dataset.mailto);
    button.closest("div").append(Object.assign(document.createElement("p"), { className: "help", role: "status", textContent: button.dataset.asked }));
  });
}
