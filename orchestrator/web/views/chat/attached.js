// What the next message refers to: assets, and files on their way to become assets.

import { ask } from "../../api.js";
import { say, useCallback, useMemo, useState } from "../../ui.js";

let number = 0;

/** Keep the list of what is attached: {list, add, upload, drop, clear}. An item is {key, asset, name, error}. */
export function useAttached() {
  const [list, set] = useState([]);
  const change = useCallback((key, fields) => {
    set((all) => all.map((one) => (one.key === key ? { ...one, ...fields } : one)));
  }, []);
  const add = useCallback((asset) => {
    set((all) => (all.some((one) => one.asset?.id === asset.id) ? all : [...all, { key: asset.id, asset, name: asset.caption }]));
    say(`${asset.caption || asset.kind} is attached`);
  }, []);
  const upload = useCallback((files) => {
    for (const file of files) {
      const key = `file-${number++}`;
      set((all) => [...all, { key, asset: null, name: file.name }]);
      save(file).then(
        (asset) => { change(key, { asset }); say(`${file.name} is uploaded`); },
        (error) => { change(key, { error }); say(`${file.name}: ${error.message}`, true); },
      );
    }
  }, []);
  const drop = useCallback((key) => set((all) => all.filter((one) => one.key !== key)), []);
  const clear = useCallback(() => set([]), []);
  return useMemo(() => ({ list, add, upload, drop, clear }), [list]);
}

async function save(file) {
  const body = new FormData();
  body.append("file", file);
  return (await ask("POST", "/v1/assets", { body })).json();
}
