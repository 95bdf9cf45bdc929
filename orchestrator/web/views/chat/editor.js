// Changing a plan before it runs: a field for each argument, or the whole plan as JSON. The API checks it.

import { get } from "../../api.js";
import { Fault, html, useEffect, useLoad, useRef, useState } from "../../ui.js";
import { Argument } from "./argument.js";
import { toolName } from "./plan.js";

/** An editor of `plan`; `onRun` is given the changed plan. */
export function Editor({ plan, error, isBusy, onRun, onClose }) {
  const [draft, change] = useState(plan);
  const [json, setJson] = useState(null); // the plan as text while it is edited as text
  const [unread, setUnread] = useState(null);
  const tools = useLoad((signal) => get("/v1/tools", {}, signal), []);
  const form = useRef();
  useEffect(() => { form.current.querySelector("input, textarea, select")?.focus(); }, [json === null, tools.value]);
  const read = () => {
    try {
      setUnread(null);
      return json === null ? draft : JSON.parse(json);
    } catch (failed) {
      setUnread(new Error(`This is no JSON: ${failed.message}`));
      return null;
    }
  };
  const submit = (event) => {
    event.preventDefault();
    const changed = read();
    if (changed) onRun(changed);
  };
  const turn = () => {
    const changed = read();
    if (!changed) return;
    change(changed);
    setJson(json === null ? JSON.stringify(changed, null, 2) : null);
  };
  const set = (id, name, value) => change({ ...draft, steps: draft.steps.map((step) => (step.id === id ? { ...step, args: withArg(step.args, name, value) } : step)) });
  const leave = (id) => change({ ...draft, steps: draft.steps.filter((step) => step.id !== id) });
  const shown = unread ?? error;
  return html`
    <form class="editor" ref=${form} onSubmit=${submit}>
      ${json !== null
        ? html`<label>Plan as JSON<textarea class="code" rows="14" spellcheck="false" value=${json} onInput=${({ target }) => setJson(target.value)}></textarea></label>`
        : draft.steps.map((step) => html`
          <fieldset key=${step.id}>
            <legend>${step.id}: ${toolName(step.tool)}</legend>
            <${Arguments} step=${step} schema=${tools.value?.data.find((tool) => tool.id === step.tool)?.args} onChange=${(name, value) => set(step.id, name, value)} />
            ${draft.steps.length > 1 && html`<button type="button" class="quiet" onClick=${() => leave(step.id)}>Leave out ${step.id}</button>`}
          </fieldset>`)}
      ${shown && html`<${Fault} error=${shown} />`}
      <div class="row">
        <button disabled=${isBusy}>Run the changed plan</button>
        <button type="button" class="quiet" onClick=${turn}>${json === null ? "Edit as JSON" : "Edit as a form"}</button>
        <button type="button" class="quiet" onClick=${onClose}>Keep it as it was</button>
      </div>
    </form>`;
}

function withArg(args, name, value) {
  const changed = { ...args, [name]: value };
  if (value === undefined) delete changed[name];
  return changed;
}

/** The arguments of a step, those that are set first. */
function Arguments({ step, schema, onChange }) {
  const names = Object.keys(schema?.properties ?? step.args);
  const given = names.filter((name) => name in step.args);
  const [first] = useState(given);
  const rest = names.filter((name) => !first.includes(name));
  const field = (name) => html`
    <${Argument} key=${name} name=${`${step.id}-${name}`} label=${name} value=${step.args[name]} schema=${schema?.properties[name] ?? {}} defs=${schema?.$defs ?? {}} onChange=${(value) => onChange(name, value)} />`;
  return html`
    <div class="arguments">${first.map(field)}</div>
    ${rest.length > 0 && html`<details><summary>More settings</summary><div class="arguments">${rest.map(field)}</div></details>`}`;
}
