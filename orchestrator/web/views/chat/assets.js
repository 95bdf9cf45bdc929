// Assets by id, asked for once.

import { get } from "../../api.js";
import { useEffect, useState } from "../../ui.js";

const MOST = 500;
const known = new Map(); // id -> promise of an asset, null where it is gone

function asset(id) {
  if (!known.has(id)) {
    if (known.size >= MOST) known.delete(known.keys().next().value);
    const asked = get(`/v1/assets/${id}`).catch((error) => {
      known.delete(id);
      if (error.status === 404) return null;
      throw error;
    });
    known.set(id, asked);
  }
  return known.get(id);
}

/** Note what a run made, so that its assets need not be asked for one by one. */
export async function readMade(runId) {
  const page = await get("/v1/assets", { run_id: runId, limit: 100 });
  for (const one of page.data) known.set(one.id, Promise.resolve(one));
}

/** Give the assets of `ids` as far as they are known by now: {ID: asset}; one that is gone is null. */
export function useAssets(ids, runId = null) {
  const [found, set] = useState({});
  useEffect(() => {
    let wanted = true;
    const first = runId && ids.some((id) => !known.has(id)) ? readMade(runId).catch(() => {}) : Promise.resolve();
    first.then(() => {
      for (const id of ids) {
        asset(id).then((one) => wanted && set((all) => ({ ...all, [id]: one })), () => {});
      }
    });
    return () => { wanted = false; };
  }, [ids.join()]);
  return found;
}
