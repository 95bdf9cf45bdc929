// What a request can use, with requests to try.

import { html } from "../../ui.js";
import { Part } from "./part.js";

/** The tools. */
export const Tools = () => html`
  <${Part} title="What you can ask for" path="/v1/tools" empty="There is no tool.">${(tool) => html`<${Tool} key=${tool.id} tool=${tool} />`}<//>`;

function Tool({ tool }) {
  const args = Object.entries(tool.args.properties ?? {});
  return html`
    <li class="card stack">
      <h3>${tool.id} <span class="tag">${tool.gives ?? "finds assets"}</span></h3>
      <p>${tool.description}</p>
      ${tool.sends && html`<p class="soft">It sends or changes something outside of the studio, so a plan with it may wait for your approval.</p>`}
      ${tool.examples.length > 0 && html`
        <ul class="plain tries" aria-label="Try ${tool.id}">
          ${tool.examples.slice(0, 4).map(({ say }) => html`
            <li key=${say}><a class="try" href="#/chat?say=${encodeURIComponent(say)}">${say}</a></li>`)}
        </ul>`}
      ${args.length > 0 && html`
        <details>
          <summary>Its arguments</summary>
          <dl>${args.map(([name, schema]) => html`
            <div key=${name}><dt><code>${name}</code>${tool.args.required?.includes(name) ? html` <span class="soft">needed</span>` : ""}</dt><dd>${described(schema)}</dd></div>`)}</dl>
        </details>`}
    </li>`;
}

/** Say in words what an argument takes. */
function described(schema) {
  const one = schema.anyOf?.find((part) => part.type !== "null") ?? schema;
  const choices = (schema.enum ?? one.enum)?.join(", ");
  const [low, high] = [schema.minimum ?? one.minimum, schema.maximum ?? one.maximum];
  const range = low !== undefined && high !== undefined ? `${low} to ${high}` : "";
  const given = schema.default === undefined || schema.default === null ? "" : `usually ${schema.default}`;
  return [schema.description, choices ?? range, given].filter(Boolean).join("; ") || one.type || "";
}
