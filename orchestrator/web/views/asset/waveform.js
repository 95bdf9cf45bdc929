// What a sound looks like.

const RATE_HZ = 22_050;

/** Give `count` pairs [lowest, highest] in [-1, 1] of encoded sound, and its length in seconds. */
export async function peaks(bytes, count) {
  const sound = await new OfflineAudioContext(1, 1, RATE_HZ).decodeAudioData(bytes);
  const samples = sound.getChannelData(0);
  const step = samples.length / count;
  const found = Array.from({ length: count }, (_, column) => {
    let [low, high] = [0, 0];
    const end = Math.min(samples.length, Math.ceil((column + 1) * step));
    for (let at = Math.floor(column * step); at < end; at++) {
      if (samples[at] < low) low = samples[at];
      else if (samples[at] > high) high = samples[at];
    }
    return [low, high];
  });
  return { pairs: found, seconds: sound.duration };
}

/** Draw pairs on a canvas as wide as its box; what is before `part` (0 to 1) has been played. */
export function draw(canvas, pairs, part) {
  const { clientWidth, clientHeight } = canvas;
  const sharp = devicePixelRatio || 1;
  Object.assign(canvas, { width: clientWidth * sharp, height: clientHeight * sharp });
  const pen = canvas.getContext("2d");
  const colours = getComputedStyle(canvas);
  const [played, rest] = [colours.getPropertyValue("--accent"), colours.getPropertyValue("--soft")];
  const width = canvas.width / pairs.length;
  const middle = canvas.height / 2;
  pairs.forEach(([low, high], column) => {
    pen.fillStyle = column < part * pairs.length ? played : rest;
    const top = middle - high * middle;
    pen.fillRect(column * width, top, Math.max(1, width * 0.7), Math.max(sharp, (high - low) * middle));
  });
}
