// The assets that fit, in pages as they are needed; what was shown is kept for whoever comes back from an asset.

import { get } from "../../api.js";
import { useCallback, useEffect, useRef, useState } from "../../ui.js";
import { filters } from "./address.js";

const PAGE = 200;
const HITS = 100;
const EMPTY = { items: [], next: null, loading: true, error: null, key: null };
let kept = null; // {state, scroll} of the last visit

/** Drop what was kept, because the library changed. */
export const forget = () => { kept = null; };

/** Ask for a page of what is wanted: a list from the newest, or what resembles words or an asset, nearest first. */
export function page(wanted, before = null, signal = undefined) {
  const some = filters(wanted);
  if (wanted.q) return get("/v1/search", { ...some, query: wanted.q, like: wanted.like, limit: HITS }, signal);
  if (wanted.like) return get(`/v1/assets/${wanted.like}/similar`, { ...some, limit: HITS }, signal);
  return get("/v1/assets", { ...some, before, limit: PAGE }, signal);
}

/** Give {items, loading, error, hasMore, more, again, change} of what is wanted. */
export function useFeed(wanted) {
  const key = JSON.stringify(wanted);
  const [state, set] = useState(() => (kept?.state.key === key ? kept.state : EMPTY));
  const [turn, again] = useState(0);
  const latest = useRef(state);
  latest.current = state;
  const isBusy = useRef(false);

  useEffect(() => {
    const stop = new AbortController();
    set((was) => ({ ...was, loading: true, error: null }));
    page(wanted, null, stop.signal).then(
      (first) => {
        const isKnown = latest.current.key === key && first.data[0]?.id === latest.current.items[0]?.id && !turn;
        if (isKnown && latest.current.items.length) set((was) => ({ ...was, loading: false }));
        else set({ items: first.data, next: first.next, loading: false, error: null, key });
      },
      (error) => { if (!stop.signal.aborted) set({ ...EMPTY, loading: false, error, key }); },
    );
    return () => stop.abort();
  }, [key, turn]);

  useEffect(() => {
    const before = kept?.state.key === key ? kept.scroll : 0;
    if (before) requestAnimationFrame(() => scrollTo(0, before));
    let scroll = before;
    const moved = () => { scroll = scrollY; };
    addEventListener("scroll", moved, { passive: true });
    return () => {
      removeEventListener("scroll", moved);
      kept = { state: latest.current, scroll };
    };
  }, []);

  const more = useCallback(() => {
    const { next, key: of } = latest.current;
    if (!next || isBusy.current) return;
    isBusy.current = true;
    page(JSON.parse(of), next).then(
      (found) => set((was) => (was.key === of && was.next === next ? { ...was, items: was.items.concat(found.data), next: found.next } : was)),
      (error) => set((was) => ({ ...was, next: null, error })),
    ).finally(() => { isBusy.current = false; });
  }, []);
  const change = useCallback((to) => set((was) => ({ ...was, items: to(was.items) })), []);
  return { ...state, hasMore: state.next !== null, more, change, again: useCallback(() => again((n) => n + 1), []) };
}
