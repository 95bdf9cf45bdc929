// What someone can say who was never here.

import { get } from "../../api.js";
import { html, useLoad } from "../../ui.js";

const EXAMPLES = [
  { say: "three happy cat stickers", tools: ["generate_image"] },
  { say: "two sleepy foxes, and a 3 second video that morphs between them", tools: ["generate_image", "make_video"] },
  { say: "a red rocket and a two line poem about it", tools: ["generate_image", "write_text"] },
  { say: "find my pictures of smiling cats", tools: ["search_assets"] },
];

/** Examples that this studio has the tools for; a click says them. */
export function Examples({ onSay }) {
  const { value } = useLoad((signal) => get("/v1/tools", {}, signal), []);
  const here = new Set(value?.data.map((tool) => tool.id));
  return html`
    <p>Say it in your own words below, or begin with one of these.</p>
    <div class="examples">
      ${EXAMPLES.filter((one) => one.tools.every((tool) => here.has(tool))).map((one) => html`
        <button type="button" class="quiet" key=${one.say} onClick=${() => onSay(one.say)}>${one.say}</button>`)}
    </div>`;
}
