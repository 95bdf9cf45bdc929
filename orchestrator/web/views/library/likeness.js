// Searching by a file of this computer, or by an asset.

import { ask, get } from "../../api.js";
import { Fault, html, useLoad } from "../../ui.js";
import { Small } from "../chat/chip.js";

/** Give {asset, isNew} of a file: what the library has with the same bytes, or what it has become by an upload. */
export async function assetOf(file) {
  const twin = await twinOf(file);
  if (twin) return { asset: twin, isNew: false };
  return { asset: await upload(file), isNew: true };
}

/** Put a file into the library and give its asset. */
export async function upload(file) {
  const form = new FormData();
  form.append("file", file);
  return (await ask("POST", "/v1/assets", { body: form })).json();
}

async function twinOf(file) {
  if (!crypto.subtle) return null; // a page over plain HTTP from another computer
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  const sha256 = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return (await get("/v1/assets", { sha256, limit: 1 })).data[0] ?? null;
}

/** What is compared with, and by what. */
export function Like({ id, isNew, onClear }) {
  const { value, error } = useLoad((signal) => get(`/v1/assets/${id}`, {}, signal), [id]);
  if (error) return html`<${Fault} error=${error} again=${onClear} />`;
  if (!value) return null;
  return html`
    <section class="like" aria-label="Compared with">
      <span class="face"><${Small} asset=${value} /></span>
      <p>Most like <a href="#/asset/${id}">${value.caption}</a>.
        <span class="soft"> ${isNew
          ? "Nobody has told the studio what this file shows, so it is compared by its name. This studio compares words, not pixels or sounds."
          : "Compared by what the captions say; this studio compares words, not pixels or sounds."}</span></p>
      <button type="button" class="quiet" aria-label="Stop comparing" onClick=${onClear}>✕</button>
    </section>`;
}
