/* Saves while one writes, and keeps the text in this browser until a server has it. */
const form = document.getElementById("composer");
const note = document.getElementById("saved");
const PAUSE = 1500;
const key = () => `draft:${document.body.dataset.user}:${new URL(form.action).pathname}${new URL(form.action).search}`;
const FIELDS = ["to", "cc", "bcc", "subject", "text"];
let timer = 0;
let leaving = false;
let saving = Promise.resolve();
let clean = snapshot();

function snapshot() { return JSON.stringify(Object.fromEntries([...FIELDS, "identity"].map((name) => [name, form.elements[name].value]))); }

async function save() {
  const now = snapshot();
  if (leaving || now === clean) return;
  localStorage.setItem(key(), now);
  const data = new FormData(form);
  data.delete("files");
  data.set("do", "save");
  let answer;
  try {
    answer = await fetch(form.action, { method: "POST", body: data, headers: { Accept: "application/json" } });
  } catch {
    note.textContent = form.dataset.failed;
    return;
  }
  const said = answer.headers.get("Content-Type")?.startsWith("application/json") ? await answer.json() : null;
  if (!said?.id) { note.textContent = said?.conflict ?? form.dataset.failed; return; }
  localStorage.removeItem(key());
  form.elements.revision.value = said.revision;
  form.action = said.url;
  history.replaceState(null, "", said.url);
  note.textContent = said.saved;
  clean = now;
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(() => { saving = saving.then(save); }, PAUSE);
}

/* What an earlier visit could not hand to the server comes back, every field, as text. */
const left = localStorage.getItem(key());
if (left === clean) localStorage.removeItem(key());
if (left && left !== clean) {
  const fields = JSON.parse(left);
  for (const name of FIELDS) if (typeof fields[name] === "string") form.elements[name].value = fields[name];
  later();
}

form.addEventListener("input", (event) => { if (event.target.name !== "files") later(); });
form.addEventListener("submit", (event) => {
  if (leaving) { event.preventDefault(); return; }
  clearTimeout(timer);
  const button = event.submitter;
  event.preventDefault();
  leaving = true;
  button?.classList.add("busy");
  saving.then(() => {
    /* Kept until a page of ours shows that it arrived (app.js): the sign-in may have run out meanwhile. */
    localStorage.setItem(key(), snapshot());
    sessionStorage.setItem("handed-in", key());
    const hidden = document.createElement("input");
    hidden.type = "hidden";
    hidden.name = "do";
    hidden.value = button?.value ?? "save";
    form.append(hidden);
    form.submit();
  });
});
document.getElementById("files").addEventListener("change", (event) => {
  const limit = Number(form.dataset.limit) * 1e6;
  const size = [...event.target.files].reduce((sum, file) => sum + file.size, 0);
  if (!size) return;
  if (size * 78 / 57 > limit) note.textContent = event.target.closest(".tools").querySelector(".dim").textContent;
  const button = document.createElement("button");
  button.name = "do";
  button.value = "attach";
  button.hidden = true;
  form.append(button);
  form.requestSubmit(button);
});
