// A piano roll: pitch upwards, time to the right, a colour for each channel.

import { ask, content } from "../../api.js";
import { Busy, Fault, html, useEffect, useRef, useLoad, useState } from "../../ui.js";
import { readMidi } from "./midi.js";
import { play } from "./synth.js";

const MARGIN = 2; // pitches above and below
const HUES = [250, 20, 150, 330, 200, 90, 290, 50];
const STEP_S = 2;

/** Draw notes on a canvas as wide as its box, with a line at a time in seconds. */
function draw(canvas, { notes, seconds }, at) {
  const sharp = devicePixelRatio || 1;
  Object.assign(canvas, { width: canvas.clientWidth * sharp, height: canvas.clientHeight * sharp });
  const pen = canvas.getContext("2d");
  const colours = getComputedStyle(canvas);
  const pitches = notes.map(({ pitch }) => pitch);
  const [low, high] = [Math.min(...pitches) - MARGIN, Math.max(...pitches) + MARGIN];
  const tall = canvas.height / (high - low + 1);
  const wide = canvas.width / (seconds || 1);
  pen.fillStyle = colours.getPropertyValue("--line");
  for (let pitch = low; pitch <= high; pitch++) if (pitch % 12 === 0) pen.fillRect(0, canvas.height - (pitch - low) * tall, canvas.width, sharp);
  for (const { pitch, channel, velocity, start, end } of notes) {
    pen.fillStyle = `hsl(${HUES[channel % HUES.length]} 65% ${70 - velocity / 5}%)`;
    pen.fillRect(start * wide, canvas.height - (pitch - low + 1) * tall, Math.max(sharp, (end - start) * wide - sharp), Math.max(sharp, tall - sharp));
  }
  pen.fillStyle = colours.getPropertyValue("--accent");
  pen.fillRect(at * wide, 0, 2 * sharp, canvas.height);
}

/** A MIDI file. */
export function Roll({ asset }) {
  const { value, error } = useLoad((signal) => ask("GET", content(asset), { signal }).then((answer) => answer.arrayBuffer()).then(readMidi), [asset.id]);
  const canvas = useRef();
  const voice = useRef(null);
  const [at, set] = useState(0);
  const [isPlaying, playing] = useState(false);
  const stop = () => { voice.current?.stop(); voice.current = null; playing(false); };
  useEffect(() => stop, [asset.id]);
  useEffect(() => { if (value?.notes.length) draw(canvas.current, value, at); }, [value, at]);
  useEffect(() => {
    if (!isPlaying) return undefined;
    let frame;
    const turn = () => {
      const now = voice.current?.now() ?? 0;
      if (now >= value.seconds) { stop(); set(0); return; }
      set(now);
      frame = requestAnimationFrame(turn);
    };
    frame = requestAnimationFrame(turn);
    return () => cancelAnimationFrame(frame);
  }, [isPlaying]);
  if (error) return html`<${Fault} error=${new Error(`The notes cannot be read: ${error.message}. Download the file and try another program.`)} />`;
  if (!value) return html`<${Busy} label="Reading the notes" />`;
  if (!value.notes.length) return html`<p class="hint">There are no notes in it.</p>`;
  const seek = (to) => {
    const was = isPlaying;
    stop();
    set(Math.max(0, Math.min(to, value.seconds)));
    if (was) start(Math.max(0, to));
  };
  const start = (from) => { voice.current = play(value.notes, from); playing(true); };
  const toggle = () => (isPlaying ? stop() : start(at));
  const keys = { ArrowLeft: () => seek(at - STEP_S), ArrowRight: () => seek(at + STEP_S), Home: () => seek(0), End: () => seek(value.seconds), " ": toggle };
  const pressed = (event) => { if (keys[event.key]) { event.preventDefault(); keys[event.key](); } };
  const pointed = ({ clientX, currentTarget }) => {
    const box = currentTarget.getBoundingClientRect();
    seek(((clientX - box.left) / box.width) * value.seconds);
  };
  const told = `${value.notes.length} notes, ${value.seconds.toFixed(1)} s`;
  return html`
    <div class="player">
      <div class="wave roll" role="slider" tabindex="0" aria-label=${`Place in the tune: ${told}`} aria-valuemin="0" aria-valuemax=${Math.round(value.seconds)} aria-valuenow=${Math.round(at)}
        aria-valuetext=${`${at.toFixed(1)} of ${value.seconds.toFixed(1)} seconds`} onKeyDown=${pressed} onClick=${pointed}><canvas ref=${canvas} aria-hidden="true"></canvas></div>
      <div class="buttons"><button type="button" onClick=${toggle}>${isPlaying ? "Pause" : "Play"}</button><span class="soft">${told}</span></div>
    </div>`;
}
