/* What in the frame that rich text is written in should not have come through: a list of faults, empty if all is well. */
() => {
  const faults = [];
  const fault = (what, element) => faults.push(`${what}: ${element?.outerHTML?.slice(0, 160) ?? ""}`);
  const TAGS = new Set(`a abbr acronym address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del
    details dfn dir div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark ol p pre q rp
    rt ruby s samp section small span strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul var wbr`.split(/\s+/));
  const shell = [...document.head.children].map((e) => e.localName).join(" ");
  if (shell !== "meta title link script script") fault(`a head of ${shell}`);
  if ([...document.body.children].map((e) => e.id).join(" ") !== "text") fault("a body of its own", document.body);
  const text = document.getElementById("text");
  if (!text.isContentEditable || !text.firstChild) fault("no editor", text);
  for (const element of text.querySelectorAll("*")) {
    if (!TAGS.has(element.localName) || element.namespaceURI !== "http://www.w3.org/1999/xhtml") fault("an element", element);
    for (const { name, value } of element.attributes) {
      if (/^(on|srcdoc|ping|action|formaction|srcset|background|id|name|contenteditable)|["'<>=]/.test(name)) fault(`an attribute ${name}`, element);
      if (name === "href" && !/^(https?:\/\/|mailto:|tel:)/i.test(value)) fault("a link", element);
      if (name === "src" && !/^(https?:\/\/|cid:|\/messages\/\d+\/parts\/[\d.~]+\/\?cid=|\/drafts\/\d+\/pictures\/|data:image\/(png|gif|jpe?g|webp|bmp);base64,)/i.test(value)) fault("a picture", element);
      if (name === "style" && /url|\\|@|var\(|expression|image|import/i.test(value)) fault("a style", element);
    }
  }
  for (const element of [...text.querySelectorAll("*")].slice(0, 300)) {
    const { position, zIndex, transform, animationName } = getComputedStyle(element);
    if ([position, zIndex, transform, animationName].join() !== "static,auto,none,none") fault("drawn elsewhere", element);
  }
  if (window.pwned !== undefined || parent.pwned !== undefined || document.title.includes("pwned")) fault("script ran");
  return faults;
}
