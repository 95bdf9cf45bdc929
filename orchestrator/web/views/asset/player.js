// A player for sound, with its waveform to seek in.

import { ask, content, source } from "../../api.js";
import { Fault, html, useEffect, useRef, useState } from "../../ui.js";
import { draw, peaks } from "./waveform.js";

const COLUMNS = 240;
const MOST_BYTES = 80e6; // more would fill the memory of a phone when decoded
const STEP_S = 5;

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/** A sound. */
export function Player({ asset }) {
  const audio = useRef();
  const canvas = useRef();
  const [url, setUrl] = useState(null);
  const [shape, setShape] = useState(null);
  const [error, fail] = useState(null);
  const [now, set] = useState({ at: 0, length: asset.seconds ?? 0, isPlaying: false });

  useEffect(() => {
    let isWanted = true;
    source(content(asset)).then((found) => isWanted && setUrl(found), (wrong) => isWanted && fail(wrong));
    if (asset.size_bytes <= MOST_BYTES) {
      ask("GET", content(asset)).then((answer) => answer.arrayBuffer()).then((bytes) => peaks(bytes, COLUMNS)).then(
        (found) => { if (isWanted) { setShape(found.pairs); set((was) => ({ ...was, length: was.length || found.seconds })); } },
        () => isWanted && setShape(null),
      );
    }
    return () => { isWanted = false; };
  }, [asset.id]);
  const part = now.length ? now.at / now.length : 0;
  useEffect(() => { if (shape) draw(canvas.current, shape, part); }, [shape, part]);

  const look = () => {
    const { currentTime, duration, paused } = audio.current;
    set({ at: currentTime, length: Number.isFinite(duration) ? duration : now.length, isPlaying: !paused });
  };
  const seek = (to) => {
    audio.current.currentTime = Math.max(0, Math.min(to, now.length));
    look();
  };
  const toggle = () => (audio.current.paused ? audio.current.play().catch(fail) : audio.current.pause());
  const keys = {
    ArrowLeft: () => seek(now.at - STEP_S), ArrowDown: () => seek(now.at - STEP_S), ArrowRight: () => seek(now.at + STEP_S), ArrowUp: () => seek(now.at + STEP_S),
    Home: () => seek(0), End: () => seek(now.length), " ": toggle, Enter: toggle,
  };
  const pressed = (event) => {
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  };
  const pointed = ({ clientX, currentTarget }) => {
    const box = currentTarget.getBoundingClientRect();
    seek(((clientX - box.left) / box.width) * now.length);
  };
  return html`
    <div class="player">
      <div class="wave" role="slider" tabindex="0" aria-label="Place in the sound" aria-valuemin="0" aria-valuemax=${Math.round(now.length)} aria-valuenow=${Math.round(now.at)}
        aria-valuetext=${`${clock(now.at)} of ${clock(now.length)}`} onKeyDown=${pressed} onClick=${pointed}>
        <canvas ref=${canvas} aria-hidden="true"></canvas>
      </div>
      <div class="buttons">
        <button type="button" disabled=${!url} onClick=${toggle}>${now.isPlaying ? "Pause" : "Play"}</button>
        <span class="soft">${clock(now.at)} / ${clock(now.length)}</span>
      </div>
      ${url && html`<audio ref=${audio} src=${url} preload="metadata" onTimeUpdate=${look} onPlay=${look} onPause=${look} onLoadedMetadata=${look} onError=${() => fail(new Error("This browser cannot play the file. Download it and use another player."))}></audio>`}
      ${error && html`<${Fault} error=${error} />`}
    </div>`;
}
