/* Finding words in the opened message and its conversation: they are marked (CSS Custom Highlight API, which changes nothing in
   a document), counted, and gone through from the first to the last. */
const MOST = 500; // marks
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const BLOCK = new Set("ADDRESS ARTICLE BLOCKQUOTE DD DETAILS DIV DL DT FIGURE H1 H2 H3 H4 H5 H6 HR LI OL P PRE SECTION SUMMARY TABLE TBODY TD TH THEAD TR UL".split(" "));
const SPELT = { ø: "o", đ: "d", ð: "d", ł: "l", ı: "i", ħ: "h", ŧ: "t", ŋ: "n", ĸ: "k", æ: "ae", œ: "oe", þ: "th", ß: "ss" };
let hits = [];
let at = -1;

/* What is left out in writing, as search has it; in other scripts a mark is as much as a letter. */
const LEFT_OUT = /[\u00ad\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed\u0711\u0730-\u074a\u200b-\u200d\u2060\ufeff]/gu;
const LETTER = "\\p{L}\\p{N}\\p{M}";

/* As search folds: small letters without accents. `from` tells of which letter of the text each of them is. */
function fold(text) {
  let folded = "";
  const from = [];
  for (let place = 0; place < text.length;) {
    const letter = String.fromCodePoint(text.codePointAt(place));
    const plain = letter.toLowerCase().normalize("NFKD").replace(LEFT_OUT, "").normalize("NFC");
    for (const part of [...plain].map((one) => SPELT[one] ?? one).join("")) { folded += part; for (let n = 0; n < part.length; n++) from.push(place); }
    place += letter.length;
  }
  from.push(text.length);
  return { folded, from };
}

function pattern(words) {
  const one = ({ terms, begins }) => {
    const first = UNSPACED.test(terms[0]) ? "" : `(?<![${LETTER}])`;
    const last = UNSPACED.test(terms.at(-1)) ? "" : begins ? `[${LETTER}]*` : `(?![${LETTER}])`;
    return first + terms.map((term) => term.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join(`[^${LETTER}]+`) + last;
  };
  return words.length ? new RegExp(words.map(one).join("|"), "gu") : null;
}

/* What is typed here are beginnings, quotes hold a phrase together. */
function typed(text) {
  return [...text.matchAll(/"([^"]+)"|([^\s"]+)/g)].map(([, phrase, word]) => ({ terms: fold(phrase ?? word).folded.split(new RegExp(`[^${LETTER}]+`, "u")).filter(Boolean), begins: true })).filter(({ terms }) => terms.length);
}

function block(node) {
  let element = node.parentElement;
  while (element && !BLOCK.has(element.tagName)) element = element.parentElement;
  return element;
}

/* All text below a root, as one, with the place where each piece of it begins. */
function textOf(root) {
  const walker = root.ownerDocument.createTreeWalker(root, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  const pieces = [];
  let text = "", last = null, apart = false;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.nodeType === Node.ELEMENT_NODE) { apart ||= node.tagName === "BR"; continue; }
    const here = block(node);
    if (apart || here !== last) text += "\n";
    pieces.push({ node, start: text.length });
    text += node.data;
    last = here;
    apart = false;
  }
  return { text, pieces };
}

function found(root, expression) {
  const { text, pieces } = textOf(root);
  const { folded, from } = fold(text);
  const ranges = [];
  let piece = 0;
  const point = (place) => {
    while (piece + 1 < pieces.length && pieces[piece + 1].start <= place) piece++;
    return [pieces[piece].node, Math.min(Math.max(place - pieces[piece].start, 0), pieces[piece].node.length)];
  };
  for (const match of folded.matchAll(expression)) {
    const range = root.ownerDocument.createRange();
    range.setStart(...point(from[match.index]));
    const end = from[match.index + match[0].length - 1];
    const [node, offset] = point(end);
    range.setEnd(node, Math.min(offset + String.fromCodePoint(text.codePointAt(end)).length, node.length));
    ranges.push(range);
    if (ranges.length === MOST) break;
  }
  return ranges;
}

/* The subject, then the messages as they stand in the page. */
function roots() {
  return [...document.querySelectorAll("#read .thread > header h1, #read .msg .text.plain, #read .frame iframe")]
    .map((element) => (element.matches("iframe") ? element.contentDocument?.getElementById("message") : element)).filter(Boolean);
}

function mark() {
  const bar = document.getElementById("finding");
  if (!bar || bar.hidden || !globalThis.CSS?.highlights) return;
  const expression = pattern(bar.dataset.given ? JSON.parse(bar.dataset.given) : typed(bar.elements.words.value));
  hits = [];
  for (const root of roots()) {
    const ranges = expression ? found(root, expression) : [];
    const view = root.ownerDocument.defaultView;
    const own = ranges.slice(0, Math.max(MOST - hits.length, 0));
    if (root.ownerDocument !== document) view.CSS.highlights.set("hit", new view.Highlight(...own));
    hits.push(...own);
  }
  CSS.highlights.set("hit", new Highlight(...hits.filter((range) => range.startContainer.ownerDocument === document)));
  at = Math.min(at, hits.length - 1);
  tell(bar);
}

function tell(bar) {
  const { none, of } = bar.dataset;
  bar.querySelector("[role=status]").textContent = !hits.length ? none : at < 0 ? `${hits.length}` : of.replace("%a", at + 1).replace("%n", hits.length);
  for (const step of bar.querySelectorAll("[data-step]")) step.disabled = !hits.length;
}

function go(step) {
  if (!hits.length) return;
  at = at < 0 ? (step > 0 ? 0 : hits.length - 1) : (at + step + hits.length) % hits.length;
  const range = hits[at];
  const page = range.startContainer.ownerDocument;
  for (const root of roots()) root.ownerDocument.defaultView.CSS.highlights.delete("hit-here");
  page.defaultView.CSS.highlights.set("hit-here", new page.defaultView.Highlight(range));
  for (let above = range.startContainer.parentElement; above; above = above.parentElement) if (above.tagName === "DETAILS") above.open = true;
  requestAnimationFrame(() => show(range, page));
  tell(document.getElementById("finding"));
}

function show(range, page) {
  const box = range.getBoundingClientRect();
  const top = box.top + (page === document ? 0 : page.defaultView.frameElement.getBoundingClientRect().top);
  const scroll = document.getElementById("read-scroll");
  const within = scroll.scrollHeight > scroll.clientHeight && getComputedStyle(scroll).overflowY !== "visible";
  const middle = within ? scroll.getBoundingClientRect().top + scroll.clientHeight / 3 : innerHeight / 3;
  (within ? scroll : window).scrollBy({ top: top - middle, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

function open(bar) {
  bar.hidden = false;
  mark();
}

function close(bar) {
  bar.hidden = true;
  for (const root of roots()) for (const name of ["hit", "hit-here"]) root.ownerDocument.defaultView.CSS.highlights.delete(name);
}

function mount() {
  const bar = document.getElementById("finding");
  if (!bar || !globalThis.CSS?.highlights || bar.dataset.mounted) return;
  bar.dataset.mounted = "1";
  at = -1;
  for (const frame of document.querySelectorAll("#read .frame iframe")) frame.addEventListener("load", mark);
  if (bar.dataset.given) open(bar);
}

document.addEventListener("input", ({ target }) => {
  const bar = target.closest("#finding");
  if (!bar) return;
  delete bar.dataset.given;
  at = -1;
  mark();
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("#finding")) return;
  event.preventDefault();
  go(1);
});
document.addEventListener("keydown", (event) => {
  const bar = event.target.closest("#finding");
  if (!bar) return;
  if (event.key === "Escape") { event.stopPropagation(); close(bar); }
  if (event.key === "Enter" && event.shiftKey) { event.preventDefault(); go(-1); }
});
document.addEventListener("click", ({ target }) => {
  const bar = document.getElementById("finding");
  const step = target.closest("#finding [data-step]");
  if (step) go(Number(step.dataset.step));
  if (target.closest("#finding [data-close]")) close(bar);
  if (target.closest("[data-find]")) { open(bar); bar.elements.words.focus(); bar.elements.words.select(); for (const menu of document.querySelectorAll("details.drop[open]")) menu.open = false; }
});
document.addEventListener("htmx:afterSettle", mount);
mount();
