/* <shiftright-feedback trace-id="…" token="…"></shiftright-feedback>: thumbs, a comment, a correction.
   No dependency, no cookie, no key: the token that came with the answer opens feedback on that answer alone. */
(() => {
  "use strict";

  const script = document.currentScript;
  const HOME = script && script.src ? new URL("/v1/feedback", script.src).href : "/v1/feedback";
  const TRIES = 3;

  const STYLE = `
    :host { display: inline-block; font: inherit; color: inherit; max-width: 32rem }
    button, textarea { font: inherit; color: inherit }
    button { background: transparent; border: 1px solid currentColor; border-radius: .4em; padding: .2em .6em;
      min-width: 2.75em; min-height: 2.75em; cursor: pointer }
    button[aria-pressed="true"] { background: #1d4ed8; color: #fff; border-color: #1d4ed8 }
    button:disabled { opacity: .5; cursor: default }
    :is(button, textarea):focus-visible { outline: 3px solid #2563eb; outline-offset: 2px }
    form { margin: .5em 0 0 }
    form[hidden] { display: none }
    label { display: block; margin: 0 0 .5em }
    textarea { display: block; box-sizing: border-box; width: 100%; min-height: 4.5em; margin-top: .2em; padding: .4em;
      background: transparent; border: 1px solid currentColor; border-radius: .4em }
    [role=status] { margin: .4em 0 0; min-height: 1.2em }
  `;

  // Fixed text, set by us: nothing of the page or of a person is ever parsed as HTML here.
  const MARKUP = `
    <div role="group" aria-label="Was this answer right?">
      <button type="button" data-value="1" aria-pressed="false" aria-label="Yes, it was right">👍</button>
      <button type="button" data-value="0" aria-pressed="false" aria-label="No, it was wrong">👎</button>
    </div>
    <form hidden>
      <label>What was wrong? <textarea name="comment" maxlength="20000"></textarea></label>
      <label>What would have been right? <textarea name="correction" maxlength="20000"></textarea></label>
      <button>Send</button>
    </form>
    <p role="status"></p>
  `;

  const unique = () =>
    globalThis.crypto && crypto.randomUUID
      ? crypto.randomUUID()
      : Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  /** Sends once: the key lets the server know a repeated request. */
  async function post(url, body) {
    for (let tried = 1; ; tried += 1) {
      try {
        const response = await fetch(url, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(body),
          credentials: "omit",
          keepalive: true,
        });
        if (response.ok) return;
        if (response.status < 500 && response.status !== 429) throw new TypeError(`refused (${response.status})`);
      } catch (error) {
        if (tried === TRIES || String(error.message).startsWith("refused")) throw error;
      }
      if (tried === TRIES) throw new Error("the server is busy");
      await pause(200 * 2 ** tried);
    }
  }

  class Feedback extends HTMLElement {
    #pressed = null;

    connectedCallback() {
      if (this.shadowRoot) return;
      const root = this.attachShadow({ mode: "open", delegatesFocus: true });
      // A sheet and not a <style>: pages with a strict Content-Security-Policy allow it.
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet];
      const template = document.createElement("template");
      template.innerHTML = MARKUP;
      root.append(template.content);
      for (const button of root.querySelectorAll("[data-value]")) {
        button.addEventListener("click", () => this.#press(button));
      }
      root.querySelector("form").addEventListener("submit", (event) => {
        event.preventDefault();
        void this.#details(event.target);
      });
    }

    async #press(button) {
      const value = Number(button.dataset.value);
      if (this.#pressed === value) return;
      this.#pressed = value;
      for (const each of this.shadowRoot.querySelectorAll("[data-value]")) {
        each.setAttribute("aria-pressed", String(each === button));
      }
      const form = this.shadowRoot.querySelector("form");
      form.hidden = value === 1;
      if (await this.#send({ name: "thumbs", value })) {
        if (value === 0 && this.#pressed === 0) form.querySelector("textarea").focus();
      } else {
        this.#pressed = null;
        button.setAttribute("aria-pressed", "false");
      }
    }

    async #details(form) {
      const said = new FormData(form);
      const words = Object.fromEntries(
        ["comment", "correction"].map((name) => [name, said.get(name).trim()]).filter(([, text]) => text),
      );
      if (!Object.keys(words).length) return this.#tell("Write something first.");
      const button = form.querySelector("button");
      button.disabled = true;
      if (await this.#send({ name: "details", ...words })) form.hidden = true;
      button.disabled = false;
    }

    async #send(words) {
      const body = { trace_id: this.getAttribute("trace-id") ?? "", idempotency_key: unique(), ...words };
      if (this.hasAttribute("token")) body.token = this.getAttribute("token");
      try {
        await post(this.getAttribute("url") ?? HOME, body);
      } catch {
        this.#tell("It could not be sent. Please try again.");
        return false;
      }
      this.#tell("Thank you.");
      this.dispatchEvent(new CustomEvent("shiftright-feedback", { detail: words, bubbles: true, composed: true }));
      return true;
    }

    #tell(words) {
      this.shadowRoot.querySelector("[role=status]").textContent = words;
    }
  }

  if (!customElements.get("shiftright-feedback")) customElements.define("shiftright-feedback", Feedback);
})();
