// What every view is built of.

import { h, render, Fragment } from "./vendor/preact.mjs";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/hooks.mjs";
import htm from "./vendor/htm.mjs";
import { source } from "./api.js";

export const html = htm.bind(h);
export { h, render, Fragment, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState };

/** Say something to whoever uses a screen reader, and show it for a while; `isFault` stays longer. */
export const say = (text, isFault = false) => dispatchEvent(new CustomEvent("atelier:say", { detail: { text, isFault } }));

export const go = (where) => { location.hash = where; };

/** Give what `load(signal)` gives: {value, error, loading, again}; loads again when a dependency changes. */
export function useLoad(load, dependencies) {
  const [state, set] = useState({ value: null, error: null, loading: true });
  const [turn, again] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    set((was) => ({ ...was, loading: true }));
    load(stop.signal).then(
      (value) => { if (!stop.signal.aborted) set({ value, error: null, loading: false }); },
      (error) => { if (!stop.signal.aborted) set((was) => ({ ...was, error, loading: false })); },
    );
    return () => stop.abort();
  }, [...dependencies, turn]);
  return { ...state, again: useCallback(() => again((n) => n + 1), []) };
}

/** Call `look` now and every `ms` while the page is seen. */
export function useEvery(ms, look, dependencies = []) {
  useEffect(() => {
    const turn = () => { if (!document.hidden) look(); };
    const timer = setInterval(turn, ms);
    document.addEventListener("visibilitychange", turn);
    return () => { clearInterval(timer); document.removeEventListener("visibilitychange", turn); };
  }, dependencies);
}

/** A picture by the path of its route; empty until it is there. */
export function Picture({ path, alt, ...more }) {
  const [found, set] = useState({ path: null, url: null });
  useEffect(() => {
    let wanted = true;
    source(path).then((url) => wanted && set({ path, url }), () => wanted && set({ path, url: null }));
    return () => { wanted = false; };
  }, [path]);
  return found.path === path && found.url
    ? html`<img src=${found.url} alt=${alt} loading="lazy" decoding="async" ...${more} />`
    : html`<span class="picture-empty" role="img" aria-label=${alt}></span>`;
}

/** What to do first, where there is nothing yet. */
export const Empty = ({ title, children }) => html`<section class="empty"><h2>${title}</h2>${children}</section>`;

/** What happened, and what to do; `again` is offered where it can help. */
export const Fault = ({ error, again }) => html`
  <div class="fault" role="alert">
    <p>${error.message}</p>
    ${again && html`<button type="button" onClick=${again}>Try again</button>`}
  </div>`;

export const Busy = ({ label = "Loading" }) => html`<p class="busy" role="status"><span class="spinner" aria-hidden="true"></span>${label}…</p>`;

export const Bar = ({ percent, label }) => html`<progress max="100" value=${percent ?? undefined} aria-label=${label}></progress>`;

/** How something stands, as a word with a colour: "completed", "failed", "in progress", … */
export const Status = ({ status }) => html`<span class="status status-${status}">${status.replaceAll("_", " ")}</span>`;

/** A modal dialog; `onClose` is called for Escape too, and the focus goes back where it was. */
export function Dialog({ title, onClose, children }) {
  const dialog = useRef();
  useEffect(() => {
    const before = document.activeElement;
    dialog.current.showModal();
    return () => before?.focus?.();
  }, []);
  const cancelled = (event) => { event.preventDefault(); onClose(); };
  return html`
    <dialog ref=${dialog} aria-label=${title} onCancel=${cancelled}>
      <header><h2>${title}</h2><button type="button" class="quiet" aria-label="Close" onClick=${onClose}>✕</button></header>
      ${children}
    </dialog>`;
}

const AGO = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const STEPS = [["second", 60], ["minute", 60], ["hour", 24], ["day", 30], ["month", 12], ["year", Infinity]];

/** Say when something was, from seconds since 1970: "3 minutes ago". */
export function ago(at) {
  let value = at - Date.now() / 1000;
  for (const [unit, size] of STEPS) {
    if (Math.abs(value) < size) return AGO.format(Math.round(value), unit);
    value /= size;
  }
  return "";
}

export const When = ({ at }) => html`<time datetime=${new Date(at * 1000).toISOString()} title=${new Date(at * 1000).toLocaleString()}>${ago(at)}</time>`;

export const bytes = (count) => (count < 1000 ? `${count} B` : count < 1e6 ? `${(count / 1e3).toFixed(0)} kB` : `${(count / 1e6).toFixed(1)} MB`);
