// Saving a ZIP file of assets on this computer.

import { ask } from "../../api.js";
import { say } from "../../ui.js";

const NAME = /filename\*=UTF-8''([^;]+)/;

/** Export what `wanted` says (`{ids}` or filters), or a whole collection by its id. */
export async function saveZip({ wanted, collection }) {
  say("Putting the ZIP file together…");
  try {
    const answer = collection
      ? await ask("GET", `/v1/collections/${collection}/export`)
      : await ask("POST", "/v1/exports", { json: wanted });
    const name = NAME.exec(answer.headers.get("content-disposition") ?? "")?.[1] ?? "atelier.zip";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = decodeURIComponent(name);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    say(`${link.download} is saved: the files, and recipes.json that says how each was made.`);
  } catch (error) {
    say(`The export failed: ${error.message}`, true);
  }
}
