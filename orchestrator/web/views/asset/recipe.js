// Recipes name their inputs by their bytes; a plan names them by ids.

import { get } from "../../api.js";

const BYTES = "sha256:";

/** Give the arguments of a recipe for a plan, with each input as an asset of the library. */
export async function planned(args, parents) {
  const known = new Map(parents.map((parent) => [parent.sha256, parent.id]));
  const put = async (value) => {
    if (Array.isArray(value)) return Promise.all(value.map(put));
    if (typeof value !== "string" || !value.startsWith(BYTES)) return value;
    return `@${await idOf(value.slice(BYTES.length), known)}`;
  };
  return Object.fromEntries(await Promise.all(Object.entries(args).map(async ([name, value]) => [name, await put(value)])));
}

async function idOf(sha256, known) {
  const [found] = (await get("/v1/assets", { sha256, limit: 1 })).data;
  const id = found?.id ?? known.get(sha256);
  if (!id) throw new Error("What it was made from is no longer in the library. Upload it again, then this works.");
  return id;
}
