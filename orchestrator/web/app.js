// The frame of the page: which view is shown, the key where one is needed, and what is said to everyone.

import { ask, key } from "./api.js";
import { Busy, Fault, html, render, useEffect, useState } from "./ui.js";

const VIEWS = {
  chat: "Chat",
  library: "Library",
  batches: "Batches",
  queue: "Queue",
  models: "Models and tools",
};
const HIDDEN = ["asset"]; // reached from others
const SHOWN_MS = { word: 4000, fault: 12000 };

/** Give {view, id, query} of an address such as #/library/x?q=cat; chat where it names none. */
function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, id = null] = path.split("/").map(decodeURIComponent);
  const isKnown = view in VIEWS || HIDDEN.includes(view);
  return { view: isKnown ? view : "chat", id, query: new URLSearchParams(query) };
}

/** A label, of which a phone shows the first word. */
function short(label) {
  const [first, ...rest] = label.split(" ");
  return rest.length ? html`${first}<span class="wide"> ${rest.join(" ")}</span>` : label;
}

function Spoken() {
  const [said, set] = useState(null);
  useEffect(() => {
    let timer;
    const heard = ({ detail }) => {
      clearTimeout(timer);
      set(detail);
      timer = setTimeout(() => set(null), detail.isFault ? SHOWN_MS.fault : SHOWN_MS.word);
    };
    addEventListener("atelier:say", heard);
    return () => removeEventListener("atelier:say", heard);
  }, []);
  return html`<div class="spoken ${said?.isFault ? "is-fault" : ""}" role="status" aria-live="polite">${said?.text}</div>`;
}

function KeyGate({ onKey }) {
  const [error, setError] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    key.set(form.get("key").trim(), form.has("remember"));
    try {
      await ask("GET", "/v1/tools");
      onKey();
    } catch (failed) {
      key.forget();
      setError(failed);
    }
  };
  return html`
    <main class="gate" id="main">
      <h1>Atelier</h1>
      <form onSubmit=${submit}>
        <label>Your key<input name="key" type="password" autocomplete="current-password" required spellcheck="false" /></label>
        <label class="check"><input name="remember" type="checkbox" /> Remember it on this computer</label>
        <button>Enter</button>
        ${error && html`<${Fault} error=${error} />`}
        <p class="hint">Whoever runs this studio draws one with <code>atelier keys create</code>.</p>
      </form>
    </main>`;
}

function View({ view, id, query }) {
  const [module, set] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    set(null);
    setError(null);
    import(`./views/${view}.js`).then((loaded) => set({ view, Shown: loaded.default }), setError);
  }, [view]);
  if (error) return html`<${Fault} error=${new Error("This part of the page could not be loaded. Load the page again.")} />`;
  return module?.view === view ? html`<${module.Shown} id=${id} query=${query} />` : html`<${Busy} />`;
}

function App() {
  const [at, set] = useState(route());
  const [isLocked, lock] = useState(false);
  useEffect(() => {
    const moved = () => {
      set(route());
      document.getElementById("main")?.focus();
    };
    const locked = () => lock(true);
    addEventListener("hashchange", moved);
    addEventListener("atelier:key", locked);
    ask("GET", "/v1/tools").catch(() => {});
    return () => {
      removeEventListener("hashchange", moved);
      removeEventListener("atelier:key", locked);
    };
  }, []);
  useEffect(() => { document.title = `${VIEWS[at.view] ?? "Asset"} · Atelier`; }, [at.view]);
  if (isLocked) return html`<${KeyGate} onKey=${() => lock(false)} /><${Spoken} />`;
  return html`
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.getElementById("main").focus(); }}>Skip to content</a>
    <header class="top">
      <a class="brand" href="#/chat"><img src="/web/icon.svg" alt="" width="28" height="28" />Atelier</a>
      <nav aria-label="Main">
        ${Object.entries(VIEWS).map(([name, label]) => html`
          <a key=${name} href="#/${name}" aria-current=${at.view === name ? "page" : undefined}>${short(label)}</a>`)}
      </nav>
      ${key.get() && html`<button type="button" class="quiet" onClick=${() => { key.forget(); location.reload(); }}>Leave</button>`}
    </header>
    <main id="main" tabindex="-1" class="view-${at.view}"><${View} ...${at} /></main>
    <${Spoken} />`;
}

const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App} />`, root);
