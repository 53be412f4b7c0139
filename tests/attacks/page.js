/* What on a page of ours can be none of ours: a list of faults, empty if all is well. */
() => {
  const faults = [];
  const fault = (what, element) => faults.push(`${what}: ${element?.outerHTML?.slice(0, 160) ?? ""}`);
  const TAGS = new Set(`html head meta title link script body main section header footer nav aside article form input button
    select option textarea label details summary svg use path g a b i p h1 h2 h3 bdi span small div ul ol li dl dt dd time iframe
    br hr pre samp blockquote noscript template img table tbody thead tr td th kbd strong em code progress video audio mark`.split(/\s+/));
  const PLACES = new Set("href src action formaction hx-get hx-post hx-put hx-delete xlink:href data srcset poster background".split(" "));
  const ids = new Set();
  /* Rich text where it is written, the body of a message in its sandbox; a PDF in a frame of the browser's own viewer, which a sandbox would forbid. */
  const harmless = (frame) => {
    if (frame.id === "rich" && !frame.src) return frame.closest("#composer") && frame.hidden; /* text is plain */
    const { pathname, search } = new URL(frame.src);
    if (pathname === "/compose/editor/") return frame.id === "rich" && frame.closest("#composer") && frame.sandbox.value === "allow-same-origin allow-scripts";
    if (/^\/messages\/\d+\/body\/$/.test(pathname)) return frame.sandbox.length && !frame.sandbox.contains("allow-scripts");
    return /^\/messages\/\d+\/parts\/[\d.~]+\/$/.test(pathname) && search === "?shown=1" && location.pathname.endsWith("/preview/");
  };
  for (const element of document.querySelectorAll("*")) {
    const tag = element.localName;
    if (!TAGS.has(tag) && element.id !== "window-shape") fault("an element", element); /* the shape of our own windows */
    if (tag === "script" && (!element.src || element.textContent)) fault("a script", element);
    if (tag === "meta" && element.httpEquiv) fault("a header", element);
    if (tag === "iframe" && !harmless(element)) fault("a frame", element);
    if (element.id && ids.has(element.id)) fault("an id twice", element);
    ids.add(element.id);
    for (const { name, value } of element.attributes) {
      if (/^(on|hx-on|srcdoc|ping|data-hx)|["'<>=]/.test(name)) fault(`an attribute ${name}`, element);
      if (name === "style" && tag !== "iframe") fault("a style", element);
      if (!PLACES.has(name)) continue;
      if (!URL.canParse(value, location.href)) continue; /* leads nowhere */
      const url = new URL(value, location.href);
      const away = url.origin !== location.origin;
      if (away && tag === "a" && /^(https?|mailto|tel):$/.test(url.protocol)) {
        if (element.target !== "_blank" || !element.relList.contains("noopener")) fault("a link without its rel", element);
      } else if (away) fault("a place", element);
    }
  }
  if (window.pwned !== undefined || document.title.includes("pwned")) fault("script ran");
  const turning = /[\u202a-\u202e\u2066-\u2069\0]/;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (turning.test(walker.currentNode.data) && !parent.closest("textarea, pre.source")) fault("text that turns round", parent);
  }
  if (document.documentElement.scrollWidth > innerWidth) fault(`${document.documentElement.scrollWidth} pixels wide`);
  const pane = document.getElementById("read")?.getBoundingClientRect();
  for (const frame of document.querySelectorAll("iframe")) {
    const at = frame.getBoundingClientRect();
    if (pane && (at.left < pane.left || at.right > pane.right + 1)) fault("a frame out of its pane", frame);
    if (at.height > 400_000) fault(`a frame ${at.height} high`, frame);
  }
  for (const control of document.querySelectorAll("#read-bar .btn, .list-head h1, .list-head h2, .reply a, #composer footer .btn")) {
    const at = control.getBoundingClientRect();
    if (!control.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue; /* in a closed menu */
    if (!at.width || at.bottom > innerHeight || at.top < 0) continue;
    const top = document.elementFromPoint(at.left + at.width / 2, at.top + at.height / 2);
    if (top && !control.contains(top) && !top.contains(control)) fault(`covered by ${top.outerHTML.slice(0, 160)}`, control);
  }
  return faults;
}
