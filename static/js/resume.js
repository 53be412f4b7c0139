/* What was kept while the sign-in had run out goes on by itself, once: not when one comes back to the page. */
const form = document.getElementById("resumption");
const key = `resumed:${form.elements.held.value}`;
if (!sessionStorage.getItem(key)) {
  sessionStorage.setItem(key, "1");
  form.requestSubmit();
}
