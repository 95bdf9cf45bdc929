// The tags and collections of an asset.

import { del, get, put } from "../../api.js";
import { Dialog, Fault, html, say, useEffect, useLoad, useState } from "../../ui.js";
import { words, write } from "../library/address.js";
import { Choice } from "../library/collections.js";
import { forget } from "../library/feed.js";

/** Tags that can be taken away and added; `onChange(asset)` after each. */
export function Tags({ asset, onChange }) {
  const [failed, fail] = useState(null);
  const set = async (tags) => {
    try {
      onChange(await put(`/v1/assets/${asset.id}/tags`, { tags }));
      forget();
      fail(null);
    } catch (error) {
      fail(error);
    }
  };
  const add = (event) => {
    event.preventDefault();
    const field = event.target.elements.tags;
    set([...asset.tags, ...words(field.value)]);
    field.value = "";
  };
  return html`
    <section class="tags" aria-label="Tags">
      <ul>
        ${asset.tags.map((tag) => html`
          <li key=${tag}><a href=${write({ tag })}>${tag}</a><button type="button" class="quiet" aria-label=${`Take the tag ${tag} away`} onClick=${() => set(asset.tags.filter((one) => one !== tag))}>✕</button></li>`)}
      </ul>
      <form onSubmit=${add}>
        <label class="hidden" for="tags">Add tags, separated by commas</label>
        <input id="tags" name="tags" required maxlength="400" autocomplete="off" placeholder="Add a tag" />
        <button class="quiet">Add</button>
      </form>
      ${failed && html`<${Fault} error=${failed} />`}
    </section>`;
}

/** The collections that it is in. */
export function Collections({ asset }) {
  const found = useLoad((signal) => get("/v1/collections", { asset: asset.id, limit: 200 }, signal), [asset.id]);
  const [isOpen, open] = useState(false);
  useEffect(() => open(false), [asset.id]);
  const change = async (act, said) => {
    try {
      await act();
      say(said);
    } catch (error) {
      say(error.message, true);
    }
    open(false);
    forget();
    found.again();
  };
  const path = (one) => `/v1/collections/${one.id}/assets/${asset.id}`;
  return html`
    <section class="tags" aria-label="Collections">
      <ul>
        ${(found.value?.data ?? []).map((one) => html`
          <li key=${one.id}><a href=${write({ collection: one.id })}>${one.name}</a><button type="button" class="quiet" aria-label=${`Take it out of ${one.name}`} onClick=${() => change(() => del(path(one)), `Taken out of ${one.name}.`)}>✕</button></li>`)}
      </ul>
      <button type="button" class="quiet" onClick=${() => open(true)}>Add to a collection</button>
      ${isOpen && html`<${Dialog} title="Add it to a collection" onClose=${() => open(false)}><${Choice} onChoose=${(one) => change(() => put(path(one)), `Put into ${one.name}.`)} /><//>`}
    </section>`;
}
