/* What in the document of a body should not have come through: a list of faults, empty if all is well. */
() => {
  const faults = [];
  const fault = (what, element) => faults.push(`${what}: ${element?.outerHTML?.slice(0, 160) ?? ""}`);
  const TAGS = new Set(`a abbr acronym address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del
    details dfn dir div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark ol p pre q rp
    rt ruby s samp section small span strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul var wbr`.split(/\s+/));
  const ATTRIBUTES = new Set(`align alt bgcolor border cellpadding cellspacing class clear color colspan datetime dir face height href
    hspace lang noshade nowrap open rel reversed rowspan scope size span src start style summary target title type valign value vspace
    width`.split(/\s+/));
  /* A page for paper has a bar, a title and one or more letters; any other document of a body has the message alone. */
  const paper = document.body.firstElementChild?.matches("nav.bar");
  const roots = [...document.querySelectorAll(paper ? "body > main > article.letter > .message" : "body > #message")];
  if (!roots.length) return ["no message"];
  const all = roots.flatMap((root) => [...root.querySelectorAll("*")]);
  const shell = [...document.head.children].map((e) => e.localName).join(" ");
  if (shell !== "meta meta meta title style") fault(`a head of ${shell}`);
  const around = [...document.body.children, ...(paper ? document.querySelector("main").children : [])];
  if (around.map((e) => e.localName).join(" ") !== (paper ? `nav main h1${" article".repeat(roots.length)}` : "div")) fault("a body of its own", document.body);
  for (const element of all) {
    if (!TAGS.has(element.localName) || element.namespaceURI !== "http://www.w3.org/1999/xhtml") fault("an element", element);
    for (const { name, value } of element.attributes) {
      if (!ATTRIBUTES.has(name)) fault(`an attribute ${name}`, element);
      if (name === "href" && !/^(https?:\/\/|mailto:|tel:)/i.test(value)) fault("a link", element);
      if (name === "src" && !/^(\/messages\/\d+\/parts\/[\d.~]+\/\?inline=1$|\/pictures\/[\w:.-]+\/$|data:image\/(png|gif|jpe?g|webp|bmp);base64,)/i.test(value)) fault("a picture", element);
      if (name === "style" && /url|\\|@|var\(|expression|image|import/i.test(value)) fault("a style", element);
    }
    if (element.localName === "a" && element.hasAttribute("href") && (element.target !== "_blank" || !element.relList.contains("noopener"))) fault("a link without its rel", element);
  }
  for (const element of all.slice(0, 300)) {
    const style = getComputedStyle(element);
    const drawn = [style.position, style.zIndex, style.transform, style.animationName, style.backgroundImage];
    if (drawn.join() !== "static,auto,none,none,none") fault(`drawn ${drawn}`, element);
  }
  if (document.documentElement.scrollWidth > Math.max(innerWidth, 1)) fault(`${document.documentElement.scrollWidth} pixels wide`);
  if (window.pwned !== undefined || (paper ? document.title.includes("pwned") : document.title)) fault("script ran");
  return faults;
}
