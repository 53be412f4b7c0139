/* Message bodies are sandboxed documents without script; their frame is as tall as what is in it. */
function fit(frame) {
  const body = frame.contentDocument?.body;
  if (!body) return;
  const measure = () => { frame.style.blockSize = `${Math.ceil(frame.contentDocument.documentElement.scrollHeight)}px`; };
  frame.style.blockSize = "4rem";
  measure();
  new ResizeObserver(measure).observe(body);
}

function fitAll(root) {
  for (const frame of root.querySelectorAll(".frame iframe")) {
    if (frame.dataset.fitted) continue;
    frame.dataset.fitted = "1";
    frame.addEventListener("load", () => fit(frame));
    if (frame.contentDocument?.readyState === "complete" && frame.contentDocument.URL !== "about:blank") fit(frame);
  }
}

fitAll(document);
document.addEventListener("htmx:afterSettle", () => fitAll(document));
