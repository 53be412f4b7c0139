/* A form that takes seconds says so: its button is off and has other words while it is under way. */
const words = new Map();

document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter;
  if (!form.dataset.busy || !button || event.defaultPrevented) return;
  words.set(button, [...button.childNodes]);
  setTimeout(() => { /* after the form was read: a button that is off has no value */
    button.disabled = true;
    const spin = document.createElement("span");
    spin.className = "spin";
    button.replaceChildren(spin, form.dataset.busy);
  });
});

/* Coming back to this very page, nothing is under way. */
addEventListener("pageshow", () => {
  for (const [button, old] of words) { button.disabled = false; button.replaceChildren(...old); }
  words.clear();
});
