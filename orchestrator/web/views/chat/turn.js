// One turn of a conversation: what was said, the plan, what was made, and the answer.

import { post } from "../../api.js";
import { Busy, Fault, html, Status, useEffect, useRef, useState } from "../../ui.js";
import { Approval } from "./approval.js";
import { Made } from "./made.js";
import { isOpen } from "./open.js";
import { PlanGraph } from "./plan.js";
import { useRun } from "./run.js";
import { title } from "./send.js";
import { Words } from "./words.js";

const DOING = {
  pending: "Waiting for its turn",
  planning: "Planning",
  in_progress: "Working on it",
  cancelling: "Stopping",
};
const ENDED = {
  waiting_approval: "The plan is ready and waits for you",
  completed: "Done",
  failed: "The request failed",
  cancelled: "The request was stopped",
};

/** A run and all that belongs to it. */
export function Turn({ given, isFollowed, onUse, onWords }) {
  const { run, live, set, error } = useRun(given, isFollowed);
  const [refused, refuse] = useState(null);
  const act = (what, json) => post(`/v1/runs/${run.id}/${what}`, json).then((now) => { set(now); refuse(null); }, refuse);
  const ended = useTold(run);
  const steps = shown(run);
  const doing = run.status === "in_progress" && steps.length === 0 ? "Planning" : DOING[run.status];
  const reply = run.reply || (isOpen(run) ? live.text : "");
  return html`
    <article class="turn" aria-label=${`Request: ${title(run.request ?? "")}`} aria-busy=${isOpen(run)}>
      <p class="hidden" role="status">${ended}</p>
      <div class="said"><${Words} text=${run.request ?? ""} /></div>
      <div class="answer">
        ${steps.length > 0 && html`<${PlanGraph} run=${run} steps=${steps} live=${live} onRetry=${(step) => act("retry", { step })} onStop=${(step) => act("cancel", { step })} />`}
        ${run.status === "waiting_approval" && html`<${Approval} run=${run} why=${live.why} onApproved=${set} onDrop=${() => act("cancel")} />`}
        <${Made} run=${run} live=${live} onUse=${onUse} />
        ${reply && html`<p class="reply ${run.reply ? "" : "is-coming"}"><${Words} text=${reply} /></p>`}
        ${isOpen(run) && run.unserved && html`<p class="unserved" role="status">This waits: ${run.unserved}.</p>`}
        ${run.status === "failed" && html`<${Failed} run=${run} onRetry=${() => act("retry")} onWords=${onWords} />`}
        ${run.status === "completed" && steps.some((step) => step.status === "failed") && html`
          <button type="button" class="quiet" onClick=${() => act("retry")}>Try what failed again</button>`}
        ${run.status === "cancelled" && html`<p class="hint"><${Status} status="cancelled" /> You stopped this. <button type="button" class="quiet" onClick=${() => onWords(run.request)}>Say it again</button></p>`}
        ${(error || refused) && html`<${Fault} error=${refused ?? error} />`}
        ${doing && html`
          <div class="doing">
            <${Busy} label=${doing} />
            ${run.status !== "cancelling" && html`<button type="button" class="quiet" onClick=${() => act("cancel")}>Stop</button>`}
          </div>`}
      </div>
    </article>`;
}

/** Give the steps of a run; those of its plan where none runs yet. */
function shown(run) {
  if (run.steps.length) return run.steps;
  return (run.plan?.steps ?? []).map((step) => ({ ...step, status: "waiting", percent: 0, assets: [], error: null }));
}

/** Say how a run that went on before our eyes has ended, to whoever does not see it. */
function useTold(run) {
  const was = useRef(run.status);
  const [said, set] = useState("");
  useEffect(() => {
    if (was.current !== run.status && isOpen({ status: was.current })) set(ENDED[run.status] ?? "");
    was.current = run.status;
  }, [run.status]);
  return said;
}

function Failed({ run, onRetry, onWords }) {
  const why = run.error?.message ?? "This did not work.";
  const isTold = run.reply?.includes(why.replace(/\.$/, ""));
  return html`
    <div class="fault" role="alert">
      <p>${isTold ? "Try again what failed, or say it in other words." : why}</p>
      <div class="row">
        <button type="button" onClick=${onRetry}>Try what failed again</button>
        <button type="button" class="quiet" onClick=${() => onWords(run.request)}>Say it in other words</button>
      </div>
    </div>`;
}
