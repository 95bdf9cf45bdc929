// Plays notes with plain oscillators, so that a tune can be heard before anybody renders it.

const DRUMS = 9; // the channel of percussion: its pitches are no pitches
const RELEASE_S = 0.08;

/** Play notes from a time on; gives {now(), stop()}. */
export function play(notes, from) {
  const context = new AudioContext();
  const out = context.createGain();
  out.gain.value = 0.25;
  out.connect(context.destination);
  const began = context.currentTime + 0.05 - from;
  for (const note of notes) {
    if (note.channel === DRUMS || note.end <= from) continue;
    const [start, end] = [began + Math.max(note.start, from), began + note.end];
    const loud = context.createGain();
    loud.gain.setValueAtTime((note.velocity / 127) * 0.4, start);
    loud.gain.setTargetAtTime(0, end, RELEASE_S / 3);
    loud.connect(out);
    const tone = new OscillatorNode(context, { type: "triangle", frequency: 440 * 2 ** ((note.pitch - 69) / 12) });
    tone.connect(loud);
    tone.start(start);
    tone.stop(end + RELEASE_S);
  }
  return { now: () => Math.max(from, context.currentTime - began), stop: () => context.close() };
}
