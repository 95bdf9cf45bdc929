// What can be done with the assets that are selected.

import { del, put } from "../../api.js";
import { Dialog, html, say, useState } from "../../ui.js";
import { words } from "./address.js";
import { Choice } from "./collections.js";
import { each } from "./each.js";
import { forget } from "./feed.js";
import { saveZip } from "./save.js";

const count = (number) => (number === 1 ? "1 asset" : `${number} assets`);

/** A bar with what can be done; `onDone(changed)` gets {id: asset or null} of what changed. */
export function Selection({ assets, collection, onDone, onClear, onCollections }) {
  const [open, set] = useState(null);
  const [isBusy, busy] = useState(false);
  const close = () => set(null);

  const act = async (said, change) => {
    busy(true);
    const changed = {};
    const { failed, error } = await each(assets, async (asset) => { changed[asset.id] = await change(asset); });
    busy(false);
    close();
    forget();
    if (failed) say(`${count(failed)} could not be changed: ${error.message}`, true);
    else say(`${count(assets.length)} ${said}.`);
    onDone(changed);
  };
  const tag = (event) => {
    event.preventDefault();
    const added = words(new FormData(event.target).get("tags"));
    act("tagged", (asset) => put(`/v1/assets/${asset.id}/tags`, { tags: [...new Set([...asset.tags, ...added])] }));
  };
  const add = async (to) => {
    await act(`put into ${to.name}`, async (asset) => { await put(`/v1/collections/${to.id}/assets/${asset.id}`); return asset; });
    onCollections();
  };
  const takeOut = async () => {
    await act("taken out of the collection", async (asset) => { await del(`/v1/collections/${collection}/assets/${asset.id}`); return null; });
    onCollections();
  };

  return html`
    <div class="selection" role="region" aria-label="Selected assets">
      <strong role="status">${count(assets.length)} selected</strong>
      <button type="button" disabled=${isBusy} onClick=${() => set("tag")}>Tag</button>
      <button type="button" disabled=${isBusy} onClick=${() => set("collect")}>Add to collection</button>
      ${collection && html`<button type="button" disabled=${isBusy} onClick=${takeOut}>Take out</button>`}
      <button type="button" disabled=${isBusy} onClick=${() => saveZip({ wanted: { ids: assets.map(({ id }) => id) } })}>Export ZIP</button>
      <button type="button" class="quiet bad" disabled=${isBusy} onClick=${() => set("delete")}>Delete</button>
      <button type="button" class="quiet" onClick=${onClear}>Clear</button>
    </div>
    ${open === "tag" && html`
      <${Dialog} title=${`Tag ${count(assets.length)}`} onClose=${close}>
        <form class="rows" onSubmit=${tag}>
          <label>Tags, separated by commas<input name="tags" required maxlength="400" autocomplete="off" placeholder="stickers, spring" /></label>
          <button disabled=${isBusy}>Add tags</button>
        </form>
      <//>`}
    ${open === "collect" && html`<${Dialog} title=${`Add ${count(assets.length)} to a collection`} onClose=${close}><${Choice} onChoose=${add} /><//>`}
    ${open === "delete" && html`
      <${Dialog} title=${`Delete ${count(assets.length)}?`} onClose=${close}>
        <p>They leave the library and search. What was made from them stays, and keeps its history.</p>
        <p class="buttons">
          <button type="button" class="danger" disabled=${isBusy} onClick=${() => act("deleted", async (asset) => { await del(`/v1/assets/${asset.id}`); return null; })}>Delete</button>
          <button type="button" class="quiet" onClick=${close}>Keep</button>
        </p>
      <//>`}`;
}
