/* What somebody writes, in this browser until a server has it: all fields, as text. */
export class Kept {
  constructor(form) { this.form = form; }

  get key() {
    const { pathname, search } = new URL(this.form.action);
    return `draft:${document.body.dataset.user}:${pathname}${pathname.startsWith("/drafts/") ? "" : search}`;
  }

  /* `fields` as JSON, with what the server must have for them not to be an older version. */
  write(fields) {
    const { revision, token } = this.form.elements;
    try {
      localStorage.setItem(this.key, JSON.stringify({ revision: revision.value, token: token?.value ?? "", fields }));
      this.written = this.key;
    } catch (error) {
      if (error.name !== "QuotaExceededError") throw error; /* full: the server has to do */
    }
  }

  read() {
    const text = localStorage.getItem(this.key) ?? localStorage.getItem(`${this.key}:aside`);
    if (!text) return null;
    try {
      const kept = JSON.parse(text);
      return typeof kept.fields === "object" && kept.fields ? kept : null;
    } catch {
      this.forget(); /* not ours */
      this.forgetAside();
      return null;
    }
  }

  /* It waits until somebody asks for it, and is not written over meanwhile. */
  setAside() {
    const text = localStorage.getItem(this.key);
    if (text) localStorage.setItem(`${this.key}:aside`, text);
    localStorage.removeItem(this.key);
  }

  forgetAside() { localStorage.removeItem(`${this.key}:aside`); }

  /* This page is the answer to a form that was handed in: what was kept of that need not be any more. */
  arrived() {
    const handed = sessionStorage.getItem("handed-in");
    if (handed) localStorage.removeItem(handed);
    sessionStorage.removeItem("handed-in");
  }

  forget() {
    localStorage.removeItem(this.key);
    if (this.written) localStorage.removeItem(this.written);
  }
}
