// What is known of an asset, and its recipe.

import { get } from "../../api.js";
import { bytes, html, say, useLoad, When } from "../../ui.js";

const AS_WORD = { image: "picture", video: "video", audio: "sound", music: "music", text: "text" };

/** Give the seconds that the step took which made an asset; null where nobody knows. */
function useTook(asset) {
  const { value } = useLoad(async (signal) => {
    if (!asset.run_id) return null;
    const run = await get(`/v1/runs/${asset.run_id}`, {}, signal);
    const step = run.steps.find(({ assets }) => assets.includes(asset.id));
    return { thread: run.thread_id, seconds: step?.started_at && step.ended_at ? step.ended_at - step.started_at : null, of: step?.assets.length };
  }, [asset.id]);
  return value;
}

/** Give what drew it, in words. */
function drawnBy({ tool, version, args }) {
  return `${tool}, version ${version}${args.model ? `, with ${args.model}` : ""}`;
}

/** The facts as a list. */
export function Facts({ asset }) {
  const took = useTook(asset);
  const size = asset.width ? `${asset.width} × ${asset.height} pixels` : null;
  const length = asset.seconds === null ? null : `${asset.seconds.toFixed(1)} s`;
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(asset.id);
      say("The id is copied.");
    } catch {
      say(`Copying is not allowed here; the id is ${asset.id}`, true);
    }
  };
  return html`
    <dl class="facts">
      <dt>What</dt><dd>${[AS_WORD[asset.kind] ?? asset.kind, size, length, bytes(asset.size_bytes)].filter(Boolean).join(", ")}</dd>
      <dt>Made</dt><dd><${When} at=${asset.created_at} />${took?.thread && html` in <a href="#/chat/${took.thread}">a conversation</a>`}</dd>
      ${asset.recipe && html`<dt>Made by</dt><dd>${drawnBy(asset.recipe)}</dd>`}
      ${asset.seed !== null && html`<dt>Seed</dt><dd>${asset.seed}</dd>`}
      ${took?.seconds !== null && took?.seconds !== undefined && html`<dt>Took</dt><dd>${took.seconds.toFixed(1)} s${took.of > 1 ? ` for ${took.of} at once` : ""}</dd>`}
      ${asset.licence && html`<dt>Learned from</dt><dd>data under ${asset.licence}</dd>`}
      ${asset.sources?.length > 0 && html`<dt>Rests on</dt><dd>${asset.sources.map(({ document, place }) => [document, place].filter(Boolean).join(", ")).join("; ")}</dd>`}
      <dt>Id</dt><dd><code>${asset.id}</code> <button type="button" class="quiet small" onClick=${copy}>Copy id</button></dd>
    </dl>
    ${asset.recipe && html`<details class="recipe"><summary>Recipe</summary><pre tabindex="0">${JSON.stringify(asset.recipe, null, 2)}</pre></details>`}`;
}
