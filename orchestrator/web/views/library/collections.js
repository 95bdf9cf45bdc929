// Collections: which there are, choosing one, and what is done with one.

import { del, get, patch, post } from "../../api.js";
import { Dialog, Fault, html, say, useLoad, useState } from "../../ui.js";
import { saveZip } from "./save.js";

const MOST = 200;

/** Give the collections, newest first. */
export const useCollections = () => useLoad((signal) => get("/v1/collections", { limit: MOST }, signal).then(({ data }) => data), []);

/** A list to choose from, and a field for a new one. */
export function Choice({ onChoose }) {
  const { value, error } = useCollections();
  const [failed, fail] = useState(null);
  const make = async (event) => {
    event.preventDefault();
    try {
      onChoose(await post("/v1/collections", { name: new FormData(event.target).get("name") }));
    } catch (wrong) {
      fail(wrong);
    }
  };
  return html`
    ${(error ?? failed) && html`<${Fault} error=${error ?? failed} />`}
    ${value?.length > 0 && html`
      <ul class="choice">${value.map((one) => html`
        <li key=${one.id}><button type="button" class="quiet" onClick=${() => onChoose(one)}>${one.name} <small class="soft">${one.assets}</small></button></li>`)}
      </ul>`}
    <form class="line" onSubmit=${make}>
      <label>A new collection<input name="name" required maxlength="80" autocomplete="off" /></label>
      <button>Make and add</button>
    </form>`;
}

/** The name of the collection that is shown, and what can be done with it; `onGone` after it was taken away. */
export function Shown({ collection, onChange, onGone }) {
  const [open, set] = useState(null);
  const [failed, fail] = useState(null);
  const close = () => { set(null); fail(null); };
  const act = async (event, change, then) => {
    event.preventDefault();
    try {
      await change(event);
      close();
      then();
    } catch (error) {
      fail(error);
    }
  };
  const rename = (event) => patch(`/v1/collections/${collection.id}`, { name: new FormData(event.target).get("name") });
  const remove = async () => {
    await del(`/v1/collections/${collection.id}`);
    say(`${collection.name} is gone; its assets are still in the library.`);
  };
  return html`
    <div class="collection">
      <h2>${collection.name} <small class="soft">${collection.assets}</small></h2>
      <button type="button" class="quiet" onClick=${() => set("rename")}>Rename</button>
      <button type="button" class="quiet" onClick=${() => saveZip({ collection: collection.id })}>Export ZIP</button>
      <button type="button" class="quiet bad" onClick=${() => set("remove")}>Take away</button>
    </div>
    ${open === "rename" && html`
      <${Dialog} title="Rename the collection" onClose=${close}>
        <form class="rows" onSubmit=${(event) => act(event, rename, onChange)}>
          <label>Name<input name="name" required maxlength="80" defaultValue=${collection.name} autocomplete="off" /></label>
          ${failed && html`<${Fault} error=${failed} />`}
          <button>Rename</button>
        </form>
      <//>`}
    ${open === "remove" && html`
      <${Dialog} title=${`Take ${collection.name} away?`} onClose=${close}>
        <p>Its ${collection.assets} assets stay in the library.</p>
        ${failed && html`<${Fault} error=${failed} />`}
        <p class="buttons">
          <button type="button" class="danger" onClick=${(event) => act(event, remove, onGone)}>Take away</button>
          <button type="button" class="quiet" onClick=${close}>Keep</button>
        </p>
      <//>`}`;
}
