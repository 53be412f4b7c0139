/* Numbers that grow while the page is open: mail being fetched, an action on everything in a list. The page is told
   them and asks for nothing; the sentences are in attributes of its body, in the person's language. */
const said = document.body.dataset;
const grouped = new Intl.NumberFormat(document.documentElement.lang);
const accounts = new Map();

export function counted(done, total) {
  return said.counted.replace("{done}", grouped.format(done)).replace("{total}", grouped.format(total));
}

function speed({ done, total, rate }) {
  if (!rate) return "";
  const seconds = Math.max(0, total - done) / rate;
  const [words, n] = seconds < 90 ? [said.seconds, seconds] : seconds < 5400 ? [said.minutes, seconds / 60] : [said.hours, seconds / 3600];
  return `${said.rate.replace("{n}", grouped.format(rate))} · ${words.replace("{n}", grouped.format(Math.round(n)))}`;
}

function show(strip, now) {
  strip.querySelector("[data-counted]").textContent = counted(now.done, now.total);
  strip.querySelector("[data-speed]").textContent = speed(now);
  const bar = strip.querySelector("progress");
  bar.max = now.total;
  bar.value = now.done;
}

/* False if the page has no place for this account yet. */
export function progress(now) {
  accounts.set(String(now.account), now);
  return paint(String(now.account));
}

/* Fetched, or given up: what comes next counts from its own beginning. */
export function over(account) { accounts.delete(String(account)); }

function paint(changed) {
  const strips = [...document.querySelectorAll("[data-progress]")];
  if (!strips.length) return false;
  for (const strip of strips) {
    const key = strip.dataset.progress;
    if (key && accounts.has(key)) show(strip, accounts.get(key));
    if (!key) show(strip, together(strip.dataset));
  }
  return strips.some((strip) => strip.dataset.progress === changed) || !document.getElementById("list");
}

/* What the server said of all, with what was heard since of some in place of what it knew of them. */
function together({ each }) {
  const all = JSON.parse(each).map((one) => accounts.get(String(one.account)) ?? one);
  const sum = (name) => all.reduce((total, one) => total + one[name], 0);
  return { done: sum("done"), total: sum("total"), rate: sum("rate") };
}

/* The page was asked for anew: what it says is as old as its answer, what was heard may be newer. */
export function repaint() {
  for (const strip of document.querySelectorAll("[data-progress]:not([data-progress=''])")) {
    const heard = accounts.get(strip.dataset.progress);
    if (heard && heard.done < Number(strip.dataset.done)) accounts.delete(strip.dataset.progress);
  }
  paint("");
}

/* "1,500 of 52,310" beside what the notice at the foot says was done, "1,500 so far" while it is not known of how many; its
   line of time stands still until that is over. */
export function operation({ batch, done, total, over }) {
  const toast = document.querySelector(`#toast form[action*="${CSS.escape(batch)}"]`)?.closest(".toast");
  if (!toast) return;
  toast.classList.toggle("going", !over);
  toast.querySelector("[data-going]").textContent = total ? counted(done, total) : said.sofar.replace("{done}", grouped.format(done));
}
