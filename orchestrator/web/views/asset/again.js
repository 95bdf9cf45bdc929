// Making an asset again: as it was, or with other arguments; and checking that its recipe still gives it.

import { get, post } from "../../api.js";
import { Bar, Busy, Dialog, Fault, go, html, say, useEffect, useLoad, useRef, useState } from "../../ui.js";
import { Argument } from "../chat/argument.js";
import { forget } from "../library/feed.js";
import { planned } from "./recipe.js";
import { call, carryOut } from "./run.js";

/** What can be made of an asset's recipe. */
export function Again({ asset, parents }) {
  const [doing, set] = useState(null); // {label, percent}
  const [failed, fail] = useState(null);
  const [checked, check] = useState(null);
  const [isChanging, change] = useState(false);
  const stop = useRef(null);
  useEffect(() => () => stop.current?.abort(), [asset.id]);
  useEffect(() => { fail(null); check(null); }, [asset.id]);

  const carry = async (label, start, then) => {
    stop.current = new AbortController();
    const { signal } = stop.current;
    set({ label, percent: null });
    fail(null);
    check(null);
    try {
      const run = await carryOut(start, (percent) => set({ label, percent }), signal);
      if (!signal.aborted) then(run);
    } catch (error) {
      if (!signal.aborted) fail(error);
    }
    if (!signal.aborted) set(null);
  };
  const show = (run) => {
    forget();
    if (run.assets[0] === asset.id) return say("The same recipe gives the same asset, and it is here already. Change something for another.");
    if (run.assets[0]) go(`#/asset/${run.assets[0]}`);
  };
  const make = (args) => {
    change(false);
    carry("Making it", () => call(asset.recipe.tool, args), show);
  };
  const again = async () => {
    try {
      make(await planned(asset.recipe.args, parents));
    } catch (error) {
      fail(error);
    }
  };
  const verify = () => carry("Making it again to compare", () => post(`/v1/assets/${asset.id}/verify`), (run) => {
    check(run.reply);
    say("Verified: the same bytes.");
  });
  if (!asset.recipe) return html`<p class="hint">It was uploaded, so there is no recipe to make it again.</p>`;
  return html`
    <div class="buttons">
      <button type="button" disabled=${doing} onClick=${() => change(true)}>Make again with changes</button>
      <button type="button" class="quiet" disabled=${doing} onClick=${again}>Make again</button>
      <button type="button" class="quiet" disabled=${doing} onClick=${verify}>Verify</button>
    </div>
    ${doing && html`<${Busy} label=${doing.label} /><${Bar} percent=${doing.percent} label=${doing.label} />`}
    ${checked && html`<p class="verified" role="status">✓ Made again from its recipe: the same bytes.</p>`}
    ${failed && html`<${Fault} error=${failed} />`}
    ${isChanging && html`<${Changes} asset=${asset} parents=${parents} onClose=${() => change(false)} onMake=${make} />`}`;
}

/** A form of the tool's arguments, filled with the recipe's. */
function Changes({ asset, parents, onClose, onMake }) {
  const { tool: name } = asset.recipe;
  const tool = useLoad((signal) => get(`/v1/tools/${encodeURIComponent(name)}`, {}, signal), [name]);
  const filled = useLoad(() => planned(asset.recipe.args, parents), [asset.id]);
  const [changed, change] = useState({});
  const error = tool.error ?? filled.error;
  const args = { ...filled.value, ...changed };
  const fields = Object.entries(tool.value?.args.properties ?? {});
  const submit = (event) => {
    event.preventDefault();
    onMake(Object.fromEntries(Object.entries(args).filter(([, value]) => value !== undefined && value !== null)));
  };
  return html`
    <${Dialog} title="Make again with changes" onClose=${onClose}>
      ${error && html`<${Fault} error=${error} />`}
      ${!error && !(tool.value && filled.value) && html`<${Busy} />`}
      ${tool.value && filled.value && html`
        <form class="rows" onSubmit=${submit}>
          <p class="hint">${tool.value.description}</p>
          ${fields.map(([field, schema]) => html`
            <${Argument} key=${field} name=${`again-${field}`} label=${field.replaceAll("_", " ")} value=${args[field]} schema=${schema}
              defs=${tool.value.args.$defs ?? {}} onChange=${(value) => change((was) => ({ ...was, [field]: value }))} />`)}
          <p class="buttons">
            <button>Make</button>
            ${"seed" in args && html`<button type="button" class="quiet" onClick=${() => change((was) => ({ ...was, seed: undefined }))}>Any seed</button>`}
            <button type="button" class="quiet" onClick=${onClose}>Leave it</button>
          </p>
        </form>`}
    <//>`;
}
