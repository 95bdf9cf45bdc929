// The turns of a conversation, oldest first.

import { get } from "../../api.js";
import { Busy, Fault, html, useEffect, useLoad, useRef, useState } from "../../ui.js";
import { isOpen } from "./open.js";
import { Turn } from "./turn.js";

const PAGE = 20;
const MOST = 200;
const FOLLOWED = 3; // a browser opens six connections to a server, and pictures need some
const NEAR = 160; // pixels from the end: who reads there wants to stay there

/** A thread with `begun`, the run that was just sent, behind what was said before; `empty` where nothing was said. */
export function Conversation({ id, begun, empty, onUse, onWords }) {
  const [limit, setLimit] = useState(PAGE);
  useEffect(() => setLimit(PAGE), [id]);
  const load = (signal) => (id ? get(`/v1/threads/${id}/runs`, { limit }, signal).then((page) => ({ ...page, id })) : Promise.resolve({ id, data: [] }));
  const { value, error, again } = useLoad(load, [id, limit]);
  const [later, setLater] = useState([]); // runs that were sent from here since the thread was read
  const end = useEnd(id, later.length, value?.id);
  useEffect(() => setLater([]), [id]);
  useEffect(() => {
    if (begun) setLater((all) => (all.some((run) => run.id === begun.id) ? all : [...all, begun]));
  }, [begun]);

  const known = value?.id === id ? [...value.data].reverse() : [];
  const runs = [...known, ...later.filter((run) => run.thread_id === id && !known.some((one) => one.id === run.id))];
  const followed = runs.filter(isOpen).slice(-FOLLOWED);
  return html`
    <div class="conversation" ref=${end} tabindex="0" role="region" aria-label="What was said">
      ${error && html`<${Fault} error=${error} again=${error.status === 404 ? null : again} />`}
      ${!error && runs.length === 0 && (value?.id === id ? empty : html`<${Busy} label="Reading the conversation" />`)}
      ${value?.has_more && runs.length > 0 && limit < MOST && html`
        <button type="button" class="quiet earlier" onClick=${() => setLimit(MOST)}>Show what was said earlier</button>`}
      ${runs.map((run) => html`
        <${Turn} key=${run.id} given=${run} isFollowed=${followed.some((one) => one.id === run.id)} onUse=${onUse} onWords=${onWords} />`)}
    </div>`;
}

/** Keep the end in sight while things grow, unless someone scrolled up to read. */
function useEnd(id, sent, loaded) {
  const box = useRef();
  const stays = useRef(true);
  const toEnd = () => {
    const { current } = box;
    const isWorkedIn = current !== document.activeElement && current?.contains(document.activeElement);
    if (stays.current && !isWorkedIn && current?.querySelector(".turn")) current.scrollTop = current.scrollHeight;
  };
  useEffect(() => { stays.current = true; toEnd(); }, [id, sent, loaded]);
  useEffect(() => {
    const { current } = box;
    const scrolled = () => { stays.current = current.scrollHeight - current.scrollTop - current.clientHeight < NEAR; };
    const grown = new MutationObserver(toEnd);
    grown.observe(current, { childList: true, subtree: true, characterData: true });
    current.addEventListener("scroll", scrolled, { passive: true });
    current.addEventListener("load", toEnd, true);
    return () => {
      grown.disconnect();
      current.removeEventListener("scroll", scrolled);
      current.removeEventListener("load", toEnd, true);
    };
  }, []);
  return box;
}
