/* Ticking rows: the count in the bar, select all on the page, ranges with Shift. */
let last = null;

function update(form) {
  const picks = [...form.querySelectorAll(".pick")];
  const ticked = picks.filter((pick) => pick.checked).length;
  const label = form.querySelector(".picked");
  if (label) label.textContent = ticked === 1 ? label.dataset.one : label.dataset.many.replace("%n", ticked);
  const all = form.querySelector(".all");
  if (all) { all.checked = ticked === picks.length; all.indeterminate = ticked > 0 && ticked < picks.length; }
  const every = form.querySelector("[name=all]");
  if (every && !ticked) every.checked = false;
}

document.addEventListener("click", (event) => {
  const pick = event.target.closest(".pick");
  if (!pick) return;
  if (event.shiftKey && last?.isConnected) {
    const picks = [...pick.form.querySelectorAll(".pick")];
    const [from, to] = [picks.indexOf(last), picks.indexOf(pick)].sort((a, b) => a - b);
    for (const one of picks.slice(from, to + 1)) one.checked = pick.checked;
  }
  last = pick;
});

document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (!form?.matches(".list-form")) return;
  if (event.target.matches(".all")) for (const pick of form.querySelectorAll(".pick")) pick.checked = event.target.checked;
  update(form);
});
document.addEventListener("reset", (event) => { if (event.target.matches(".list-form")) setTimeout(() => update(event.target)); });

export function ticked() {
  return [...document.querySelectorAll(".pick:checked")].map((pick) => pick.value);
}

export function tick(values) {
  const wanted = new Set(values);
  const form = document.getElementById("list");
  if (!form) return;
  for (const pick of form.querySelectorAll(".pick")) if (wanted.has(pick.value)) pick.checked = true;
  update(form);
}
