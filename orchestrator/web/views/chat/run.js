// A run as it happens: what the API says of it, and what its events tell between two looks.

import { follow, get } from "../../api.js";
import { useEffect, useEvery, useRef, useState } from "../../ui.js";
import { isOpen } from "./open.js";

const LOOK_MS = 4000; // events tell of nearly everything; that nobody plans for us is told by a look alone
const GATHER_MS = 60;
const QUIET = { text: "", why: null, steps: {} };

/** Follow a run: {run, live, set, error}. `live` is {text, why, steps: {NAME: {percent, eta_s, preview, text}}}. */
export function useRun(given, isFollowed) {
  const [run, set] = useState(given);
  const [live, tell] = useState(QUIET);
  const [error, setError] = useState(null);
  const last = useRef(0); // sequence number of the newest event
  const timer = useRef(null);
  const goesOn = isOpen(run);

  const look = () => get(`/v1/runs/${given.id}`).then((found) => { set(found); setError(null); }, setError);
  const lookSoon = () => { timer.current ??= setTimeout(() => { timer.current = null; look(); }, GATHER_MS); };
  useEffect(() => {
    if (!goesOn || !isFollowed) return undefined;
    const stop = new AbortController();
    const heard = (event) => {
      if (event.id && Number(event.id) <= last.current) return;
      last.current = Number(event.id);
      tell((was) => told(was, event.type, event.data));
      if (!PASSING.includes(event.type)) lookSoon();
    };
    follow(given.id, heard, stop.signal, last.current).then(look, setError);
    return () => stop.abort();
  }, [given.id, goesOn, isFollowed]);
  useEvery(LOOK_MS, () => { if (goesOn) look(); }, [goesOn]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return { run, live, set, error };
}

const PASSING = ["step.progress", "step.preview", "text.delta"];

/** Give what is known after an event. */
export function told(was, type, { step, percent, eta_s, thumbnail, text, why }) {
  const change = (fields) => ({ ...was, steps: { ...was.steps, [step]: { ...was.steps[step], ...fields } } });
  switch (type) {
    case "step.queued": case "step.started": case "step.retrying":
      return change({ percent: 0, eta_s: null, preview: null, text: "" });
    case "step.progress": return change({ percent, eta_s });
    case "step.preview": return change({ preview: thumbnail });
    case "text.delta":
      return step ? change({ text: (was.steps[step]?.text ?? "") + text }) : { ...was, text: was.text + text };
    case "approval.required": return { ...was, why };
    default: return was;
  }
}
