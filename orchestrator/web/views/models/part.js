// A part of the overview: a list that is loaded by itself, so that one that fails hides no other.

import { get } from "../../api.js";
import { Busy, Fault, html, useLoad } from "../../ui.js";

/** A heading, what a route lists, and `empty` where that is nothing; without `empty` the part is left out then. */
export function Part({ title, path, empty, children }) {
  const { value, error, again } = useLoad((signal) => get(path, {}, signal), [path]);
  if (value && !value.data.length && !empty) return null;
  return html`
    <section aria-label=${title}>
      <h2>${title}</h2>
      ${error && html`<${Fault} error=${error} again=${again} />`}
      ${!value && !error && html`<${Busy} />`}
      ${value && !value.data.length && html`<p class="soft">${empty}</p>`}
      ${value?.data.length > 0 && html`<ul class="cards">${value.data.map(children)}</ul>`}
    </section>`;
}
