/* Comfort on top of pages that work without it. Each module does one thing and keeps no state of mail. */
import "./busy.js";
import "./frames.js";
import "./keys.js";
import "./selection.js";
import "./reading.js";
import "./finding.js";
import "./live.js";
import "./files.js";
import "./around.js";
import "./search_box.js";
import "./windows.js";
if (document.getElementById("composer")) import("./page_composer.js");
document.addEventListener("htmx:afterSettle", () => { if (document.getElementById("composer")) import("./page_composer.js").then(({ mount }) => mount()); });

/* Handed in before the composer's script had come. */
document.addEventListener("submit", ({ target, defaultPrevented }) => { if (target.matches("form.composer") && !defaultPrevented) target.dataset.handedIn = ""; });

/* What was handed in arrived, since this page came of it; the composer itself compares before it forgets. */
const handedIn = sessionStorage.getItem("handed-in");
if (handedIn && !document.getElementById("composer")) { localStorage.removeItem(handedIn); sessionStorage.removeItem("handed-in"); }
