// A plan that waits for a person: run it, change it first, or drop it.

import { post } from "../../api.js";
import { Fault, html, useEffect, useRef, useState } from "../../ui.js";
import { Editor } from "./editor.js";

/** What to do with the plan of a run that waits; `onApproved` is given the run as it is then. */
export function Approval({ run, why, onApproved, onDrop }) {
  const [isEdited, edit] = useState(false);
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const first = useRef();
  useEffect(() => { if (document.activeElement?.id === "say" && !document.activeElement.value) first.current?.focus(); }, []);
  const approve = async (plan) => {
    setBusy(true);
    setError(null);
    try {
      onApproved(await post(`/v1/runs/${run.id}/approve`, plan ? { plan } : {}));
      document.getElementById("say")?.focus(); // the button that had the focus is gone
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  return html`
    <section class="approval card" aria-label="The plan waits for you">
      <p>${why ? `This plan waits for you: ${why}.` : "This is the plan. Nothing runs before you say so."}</p>
      ${isEdited
        ? html`<${Editor} plan=${run.plan} error=${error} isBusy=${isBusy} onRun=${approve} onClose=${() => { edit(false); setError(null); }} />`
        : html`
          ${error && html`<${Fault} error=${error} />`}
          <div class="row">
            <button type="button" ref=${first} disabled=${isBusy} onClick=${() => approve(null)}>Run this plan</button>
            <button type="button" class="quiet" disabled=${isBusy} onClick=${() => edit(true)}>Change it</button>
            <button type="button" class="quiet" disabled=${isBusy} onClick=${onDrop}>Drop it</button>
          </div>`}
    </section>`;
}
