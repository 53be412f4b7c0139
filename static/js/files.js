/* Files: arrows and Escape on the page that shows one; thumbnails that a worker is about to make are looked for a few times. */
const LOOKS = [1500, 2000, 3000, 5000, 10_000, 20_000]; /* milliseconds; then the next opening of the message shows them */

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest("audio, video, input, textarea, select")) return;
  const link = document.querySelector(event.key === "Escape" ? "[data-escape]" : `[data-arrow="${CSS.escape(event.key)}"]`);
  if (!link) return;
  event.preventDefault();
  link.click();
});

function look(icon, looks) {
  if (!looks.length) return;
  setTimeout(async () => {
    if (!icon.isConnected) return;
    const answer = await fetch(icon.dataset.thumbnail).catch(() => null);
    if (!answer?.ok) { look(icon, looks.slice(1)); return; }
    const picture = new Image();
    picture.className = "thumb";
    picture.alt = "";
    picture.src = icon.dataset.thumbnail;
    await picture.decode().catch(() => null);
    if (!picture.naturalWidth) return;
    picture.width = Math.round(picture.naturalWidth / 2);
    picture.height = Math.round(picture.naturalHeight / 2);
    icon.closest(".file")?.classList.add("drawn");
    icon.replaceWith(picture);
  }, looks[0]);
}

function lookForAll() {
  for (const icon of document.querySelectorAll("[data-thumbnail]:not([data-looked])")) { icon.dataset.looked = "1"; look(icon, LOOKS); }
}

lookForAll();
document.addEventListener("htmx:afterSettle", lookForAll);
