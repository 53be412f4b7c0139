/* Runs in the frame that rich text is written in (webmail/views/editor.py), and hands its editor to the page around it. */
import Squire from "../editor/squire.mjs";

const ALLOWED = {
  USE_PROFILES: { html: true }, ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false, RETURN_DOM_FRAGMENT: true,
  FORBID_TAGS: ["style", "form", "input", "button", "textarea", "select", "option", "label", "fieldset", "audio", "video", "source", "track", "map", "area", "dialog", "template", "slot"],
  FORBID_ATTR: ["class", "id", "name", "tabindex", "contenteditable", "autofocus", "accesskey", "background", "srcset", "poster"], ADD_ATTR: ["data-remote"],
};

/* A picture from elsewhere is not asked for while one writes; rich.js puts its address back (the policy refuses it anyway). */
window.DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (/url\s*\(|\\/i.test(node.getAttribute?.("style") ?? "")) node.removeAttribute("style");
  const source = node.nodeName === "IMG" ? node.getAttribute("src") ?? "" : "";
  if (source.startsWith(`${location.origin}/`)) node.setAttribute("src", source.slice(location.origin.length));
  else if (/^\s*(https?:|\/\/)/i.test(source)) { node.setAttribute("data-remote", source.trim()); node.removeAttribute("src"); }
});

const clean = (html) => document.importNode(window.DOMPurify.sanitize(html, ALLOWED), true);
const text = document.getElementById("text");
const editor = new Squire(text, {
  blockTag: "DIV", sanitizeToDOMFragment: clean, undo: { documentSizeThreshold: 5_000_000, undoLimit: 50 },
  tagAttributes: { blockquote: { type: "cite", style: "margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex" } },
});
document.addEventListener("click", (event) => {
  if (event.target.closest("a")) event.preventDefault(); /* is written here, not followed */
  else if (!text.contains(event.target)) editor.focus();
});
window.frameElement.dispatchEvent(new parent.CustomEvent("editor", { detail: editor }));
