/* Runs in the frame that rich text is written in (webmail/views/editor.py), and hands its editor to the page around it. */
import Squire from "../editor/squire.mjs";

const ALLOWED = {
  USE_PROFILES: { html: true }, ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false, RETURN_DOM_FRAGMENT: true,
  FORBID_TAGS: ["style", "form", "input", "button", "textarea", "select", "option", "label", "fieldset", "audio", "video", "source", "track", "map", "area", "dialog", "template", "slot"],
  FORBID_ATTR: ["class", "id", "name", "tabindex", "contenteditable", "autofocus", "accesskey", "background"],
};

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
