/* Keyboard: an element says its key in data-key; pressing it clicks or focuses the element. */
const typing = (target) => target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");

function nameOf(event) {
  const mod = event.ctrlKey || event.metaKey ? "mod+" : "";
  return mod + (mod ? event.key : event.key.length === 1 ? event.key.toLowerCase() : event.key);
}

function visible(element) {
  return element.checkVisibility ? element.checkVisibility() : element.offsetParent !== null;
}

function find(key) {
  const found = [...document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)].filter(visible);
  const picked = document.querySelector(".pick:checked");
  return found.find((e) => picked && e.closest(".pick-bar")) ?? found.find((e) => !e.closest(".pick-bar"));
}

function neighbour(step) {
  const rows = [...document.querySelectorAll(".row .subj")];
  const at = rows.findIndex((row) => row === document.activeElement || row.closest(".row").matches("[aria-current=true]"));
  rows[Math.min(Math.max(at + step, 0), rows.length - 1)]?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.isComposing) return;
  const key = nameOf(event);
  if (key === "Escape") {
    document.querySelector(".pick:checked")?.form.reset();
    for (const open of document.querySelectorAll("details.drop[open]")) open.open = false;
    return;
  }
  if (typing(event.target) && !key.startsWith("mod+")) return;
  const element = find(key);
  if (!element) {
    if (key === "j" || key === "k") { event.preventDefault(); neighbour(key === "j" ? 1 : -1); }
    if (key === "x") document.activeElement.closest?.(".row")?.querySelector(".pick").click();
    return;
  }
  event.preventDefault();
  if (!element.matches("input")) { element.click(); return; }
  element.focus();
  element.setSelectionRange(element.value.length, element.value.length); /* to go on from what is there */
});

document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.drop[open]")) if (!open.contains(event.target)) open.open = false;
  const gone = event.target.closest("[data-dismiss]");
  if (gone) gone.closest(".toast").remove();
});
