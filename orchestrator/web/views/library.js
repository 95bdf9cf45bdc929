// The library: everything that was made or uploaded, found by words, likeness and filters.

import { Busy, Empty, Fault, go, html, say, useEffect, useState } from "../ui.js";
import { filters, isOpen, NOTHING, read, words, write } from "./library/address.js";
import { Shown, useCollections } from "./library/collections.js";
import { each } from "./library/each.js";
import { forget, useFeed } from "./library/feed.js";
import { Filters, SearchBox } from "./library/filters.js";
import { Grid } from "./library/grid.js";
import { assetOf, Like, upload } from "./library/likeness.js";
import { saveZip } from "./library/save.js";
import { Selection } from "./library/selection.js";

const ASSET = "application/x-atelier-asset";

export default function Library({ query }) {
  const [wanted, want] = useState(() => read(query));
  const [selected, select] = useState(new Map()); // id -> asset
  const [last, setLast] = useState(null); // where a range of selected ones begins
  const [newcomer, setNewcomer] = useState(null); // an id that came with a file to compare
  const [isBusy, busy] = useState(false);
  const collections = useCollections();
  const feed = useFeed(wanted);
  useEffect(() => want(read(query)), [query.toString()]);

  const change = (some) => {
    const next = { ...wanted, ...some };
    history.replaceState(null, "", write(next));
    want(next);
    select(new Map());
    scrollTo(0, 0);
  };
  const choose = (index, event) => {
    const isOn = event.currentTarget.checked;
    const [from, to] = event.shiftKey && last !== null ? [Math.min(index, last), Math.max(index, last)] : [index, index];
    const next = new Map(selected);
    for (const asset of feed.items.slice(from, to + 1)) {
      if (isOn) next.set(asset.id, asset);
      else next.delete(asset.id);
    }
    setLast(index);
    select(next);
  };
  const done = (changed) => {
    const isGone = (id) => id in changed && changed[id] === null;
    feed.change((items) => items.filter(({ id }) => !isGone(id)).map((asset) => changed[asset.id] ?? asset));
    select(new Map());
  };
  const compare = async (file) => {
    busy(true);
    try {
      const { asset, isNew } = await assetOf(file);
      setNewcomer(isNew ? asset.id : null);
      change({ ...NOTHING, like: asset.id });
    } catch (error) {
      say(`${file.name}: ${error.message}`, true);
    }
    busy(false);
  };
  const bring = async (files) => {
    busy(true);
    const { failed, error } = await each(files, upload);
    busy(false);
    if (failed) say(`${failed} of ${files.length} files could not be taken: ${error.message}`, true);
    else say(files.length === 1 ? "It is in the library." : `${files.length} files are in the library.`);
    forget();
    feed.again();
  };
  const drop = (event) => {
    const asset = event.dataTransfer.getData(ASSET);
    const [file] = event.dataTransfer.files;
    if (!asset && !file) return;
    event.preventDefault();
    if (file) compare(file);
    else change({ ...NOTHING, like: JSON.parse(asset).id });
  };
  const exportAll = () => {
    if (wanted.q || wanted.like) return saveZip({ wanted: { ids: feed.items.map(({ id }) => id) } });
    const { tag, ...some } = filters(wanted);
    const given = Object.fromEntries(Object.entries(some).filter(([, value]) => value !== ""));
    return saveZip({ wanted: { ...given, tags: tag } });
  };
  const shown = (collections.value ?? []).find(({ id }) => id === wanted.collection);
  const isEmpty = !feed.loading && !feed.items.length && !feed.error;

  return html`
    <div class="library" onDrop=${drop} onDragOver=${(event) => { if ([ASSET, "Files"].some((type) => event.dataTransfer.types.includes(type))) event.preventDefault(); }}>
      <h1 class="hidden">Library</h1>
      <div class="bar">
        <${SearchBox} wanted=${wanted} onChange=${change} onFile=${compare} />
        <label class="button pick">Upload<input class="hidden" type="file" multiple onChange=${({ target }) => { if (target.files.length) bring([...target.files]); target.value = ""; }} /></label>
        <button type="button" class="quiet" disabled=${!feed.items.length} onClick=${exportAll}>Export all shown</button>
      </div>
      <${Filters} wanted=${wanted} collections=${collections.value ?? []} onChange=${change} />
      ${isBusy && html`<${Busy} label="Reading the file" />`}
      ${wanted.like && html`<${Like} id=${wanted.like} isNew=${newcomer === wanted.like} onClear=${() => change({ like: "" })} />`}
      ${shown && html`<${Shown} collection=${shown} onChange=${collections.again} onGone=${() => { collections.again(); change({ collection: "" }); }} />`}
      ${feed.error && html`<${Fault} error=${feed.error} again=${feed.again} />`}
      <p class="hidden" role="status">${feed.loading ? "" : `${feed.items.length}${feed.hasMore ? " or more" : ""} assets`}</p>
      ${feed.loading && !feed.items.length && html`<${Busy} />`}
      ${isEmpty && (isOpen(wanted) ? html`<${Nothing} />` : html`
        <${Empty} title=${wanted.collection && !wanted.q ? "This collection is empty" : "Nothing fits"}>
          <p>${words(wanted.tag).length ? "Tags have to be written as they are on the assets. " : ""}Try other words, or look at everything and select what belongs here.</p>
          <button type="button" onClick=${() => change(NOTHING)}>Show everything</button>
        <//>`)}
      ${feed.items.length > 0 && html`<${Grid} items=${feed.items} hasMore=${feed.hasMore} more=${feed.more} selected=${selected} onSelect=${choose} />`}
      ${selected.size > 0 && html`<${Selection} assets=${[...selected.values()]} collection=${wanted.collection} onDone=${done} onClear=${() => select(new Map())} onCollections=${collections.again} />`}
    </div>`;
}

const Nothing = () => html`
  <${Empty} title="Your library is empty">
    <p>Say what you want in the chat, for example “three happy cat stickers”. What is made comes here by itself, with its recipe. You can also upload files.</p>
    <button type="button" onClick=${() => go("#/chat")}>Make something</button>
  <//>`;
