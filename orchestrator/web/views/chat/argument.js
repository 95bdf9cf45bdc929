// One argument of a tool as a field, by its JSON schema.

import { html, useState } from "../../ui.js";

/** Give {type, values} of a schema, looking through $ref and through "this or null". */
function shape(schema, defs) {
  if (schema.$ref) return shape(defs[schema.$ref.split("/").pop()] ?? {}, defs);
  const some = schema.anyOf?.filter((one) => one.type !== "null");
  if (some?.length === 1) return shape({ ...some[0] }, defs);
  return { ...schema, values: schema.enum ?? (schema.const === undefined ? null : [schema.const]) };
}

/** A field; `onChange` is given the value, undefined where it was emptied. */
export function Argument({ name, label, value, schema, defs, onChange }) {
  const found = shape(schema, defs);
  const what = [schema.description ?? found.description, range(found)].filter(Boolean).join("; ");
  return html`
    <label for=${name}>
      <span>${label} ${what && html`<small class="soft">${what}</small>`}</span>
      <${Field} id=${name} value=${value} found=${found} onChange=${onChange} fallback=${schema.default} />
    </label>`;
}

function range({ minimum, maximum }) {
  return minimum === undefined && maximum === undefined ? "" : `${minimum ?? "…"} to ${maximum ?? "…"}`;
}

function Field({ id, value, found, onChange, fallback }) {
  const hint = fallback === null || fallback === undefined ? "" : `${[fallback].flat().join(", ")}`;
  if (found.values && typeof value !== "object") {
    const chosen = ({ target }) => onChange(found.values[target.selectedIndex - 1]);
    return html`
      <select id=${id} onChange=${chosen}>
        <option selected=${value === undefined || value === null}>${hint ? `as usual (${hint})` : "any"}</option>
        ${found.values.map((one) => html`<option key=${one} selected=${one === value}>${one}</option>`)}
      </select>`;
  }
  if (found.type === "integer" || found.type === "number") {
    return html`<input id=${id} type="number" step=${found.type === "integer" ? 1 : "any"} value=${value ?? ""} placeholder=${hint}
      onInput=${({ target }) => onChange(target.value === "" ? undefined : Number(target.value))} />`;
  }
  if (found.type === "boolean") {
    return html`<input id=${id} type="checkbox" checked=${value ?? fallback} onChange=${({ target }) => onChange(target.checked)} />`;
  }
  if (found.type === "string" || typeof value === "string") {
    return html`<textarea id=${id} rows="2" value=${value ?? ""} placeholder=${hint} onInput=${({ target }) => onChange(target.value || undefined)}></textarea>`;
  }
  return html`<${Anything} id=${id} value=${value} hint=${hint} onChange=${onChange} />`;
}

/** A value that has no field of its own, as JSON; what is no JSON yet stays in the field and is sent as a text, which the API refuses. */
function Anything({ id, value, hint, onChange }) {
  const [text, set] = useState(value === undefined ? "" : JSON.stringify(value));
  const read = ({ target }) => {
    set(target.value);
    if (!target.value.trim()) return onChange(undefined);
    try {
      return onChange(JSON.parse(target.value));
    } catch {
      return onChange(target.value);
    }
  };
  return html`<input id=${id} class="code" value=${text} placeholder=${hint} spellcheck="false" onInput=${read} />`;
}
