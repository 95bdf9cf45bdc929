// Reads Standard MIDI Files (MIDI 1.0, formats 0 and 1): which notes sound when.

const TEMPO_US = 500_000; // a quarter note, where the file says nothing

/** A place in the bytes. */
class Reader {
  constructor(bytes) {
    this.view = new DataView(bytes);
    this.at = 0;
  }

  get isAtEnd() { return this.at >= this.view.byteLength; }

  byte() { return this.view.getUint8(this.at++); }

  number(size) {
    let value = 0;
    for (let i = 0; i < size; i++) value = value * 256 + this.byte();
    return value;
  }

  text(size) {
    let value = "";
    for (let i = 0; i < size; i++) value += String.fromCharCode(this.byte());
    return value;
  }

  variable() {
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const byte = this.byte();
      value = value * 128 + (byte & 127);
      if (byte < 128) return value;
    }
    throw new Error("a number in the file is too long");
  }
}

/** Give {notes: [{pitch, channel, velocity, start, end}], seconds} of a file's bytes; times in seconds. */
export function readMidi(bytes) {
  const reader = new Reader(bytes);
  if (reader.text(4) !== "MThd") throw new Error("this is no MIDI file");
  const after = reader.number(4) + reader.at;
  reader.number(2);
  reader.number(2);
  const division = reader.number(2);
  reader.at = after;
  const [notes, tempi] = [[], []];
  let last = 0;
  while (!reader.isAtEnd) {
    const kind = reader.text(4);
    const end = reader.number(4) + reader.at;
    if (kind === "MTrk") last = Math.max(last, readTrack(reader, end, notes, tempi));
    reader.at = end;
  }
  const seconds = clockOf(division, tempi);
  return { notes: notes.map((note) => ({ ...note, start: seconds(note.start), end: seconds(note.end) })), seconds: seconds(last) };
}

function readTrack(reader, end, notes, tempi) {
  const open = new Map();
  let [tick, status] = [0, 0];
  while (reader.at < end) {
    tick += reader.variable();
    const next = reader.view.getUint8(reader.at);
    if (next >= 0x80) status = reader.byte();
    if (status === 0xff) {
      const type = reader.byte();
      const after = reader.variable() + reader.at;
      if (type === 0x51) tempi.push({ tick, us: reader.number(3) });
      reader.at = after;
    } else if (status >= 0xf0) {
      reader.at += reader.variable();
    } else {
      readVoice(reader, status, tick, open, notes);
    }
  }
  for (const sounding of open.values()) for (const note of sounding) notes.push({ ...note, end: tick });
  return tick;
}

function readVoice(reader, status, tick, open, notes) {
  const [kind, channel] = [status & 0xf0, status & 0x0f];
  const pitch = reader.byte();
  const velocity = kind === 0xc0 || kind === 0xd0 ? 0 : reader.byte();
  if (kind !== 0x80 && kind !== 0x90) return;
  const name = channel * 128 + pitch;
  const sounding = open.get(name) ?? [];
  if (kind === 0x90 && velocity) open.set(name, [...sounding, { pitch, channel, velocity, start: tick }]);
  else if (sounding.length) notes.push({ ...sounding.shift(), end: tick });
}

/** Give a function from ticks to seconds. */
function clockOf(division, tempi) {
  if (division & 0x8000) {
    const perSecond = (256 - (division >> 8)) * (division & 0xff);
    return (tick) => tick / perSecond;
  }
  const changes = [{ tick: 0, us: TEMPO_US }, ...tempi.sort((a, b) => a.tick - b.tick)];
  let at = 0;
  const marks = changes.map((change, i) => {
    if (i) at += ((change.tick - changes[i - 1].tick) / division) * (changes[i - 1].us / 1e6);
    return { ...change, at };
  });
  return (tick) => {
    const mark = marks.findLast((one) => one.tick <= tick);
    return mark.at + ((tick - mark.tick) / division) * (mark.us / 1e6);
  };
}
