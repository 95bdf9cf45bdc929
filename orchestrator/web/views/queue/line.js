// One open run of the queue.

import { post } from "../../api.js";
import { Bar, html, say, Status, useState, When } from "../../ui.js";
import { about } from "./spans.js";

const PLANNERS = { "studio.plan": "making a plan", "studio.reply": "writing the answer" };

/** What a run is, how far it is, and a button that stops one's own. */
export function Line({ run, now, showsOwner, onChange }) {
  const { step } = run;
  const what = run.request ?? (step ? called(step) : "A plan");
  return html`
    <li class="card stack">
      <p class="row">
        <${Status} status=${run.status} />
        <strong class="asked">${what}</strong>
      </p>
      <p class="soft">
        ${showsOwner && html`for ${run.mine ? "you" : run.owner} · `}asked <${When} at=${run.created_at} />
        ${step && html` · ${PLANNERS[step.tool] ?? step.tool}`}
        ${run.steps > 0 && html` · ${run.steps_done} of ${run.steps} ${run.steps === 1 ? "step" : "steps"} done`}
      </p>
      ${run.is_running && html`<${Bar} percent=${step.percent || null} label="How far “${what}” is" />`}
      <p>${expected(run, now)}</p>
      ${run.unserved && html`<p class="trouble">${run.unserved}</p>`}
      <p class="row">
        ${run.mine && html`<${Stop} run=${run} what=${what} onChange=${onChange} />`}
        ${run.mine && run.batch_id && html`<a href="#/batches/${run.batch_id}">Its batch</a>`}
        ${run.mine && run.thread_id && html`<a href="#/chat/${run.thread_id}">Its conversation</a>`}
      </p>
    </li>`;
}

const called = ({ tool, args }) => [PLANNERS[tool] ?? tool, args?.prompt ?? args?.query ?? args?.question].filter(Boolean).join(": ");

function expected(run, now) {
  if (run.status === "waiting_approval") return "Waits for you to look at its plan.";
  if (run.status === "cancelling") return "Stops as soon as its step does.";
  const end = run.end_s === null ? "" : `done in ${about(run.end_s)}`;
  if (run.is_running) {
    const since = run.step.started_at === null ? "" : `Running for ${about(Math.max(0, now - run.step.started_at))}`;
    return [since, end || "no estimate yet"].filter(Boolean).join(", ");
  }
  const place = run.ahead ? `${run.ahead} ${run.ahead === 1 ? "step" : "steps"} before it` : run.step ? "Next in line" : "Waits";
  const start = run.start_s ? `begins in ${about(run.start_s)}` : "";
  return [place, start, end].filter(Boolean).join(", ");
}

function Stop({ run, what, onChange }) {
  const [isBusy, setBusy] = useState(false);
  const stop = async () => {
    setBusy(true);
    try {
      await post(`/v1/runs/${run.id}/cancel`);
      say(`Stopped: ${what}`);
      onChange();
    } catch (error) {
      say(error.message, true);
      setBusy(false);
    }
  };
  return html`<button type="button" class="quiet" aria-label="Stop “${what}”" disabled=${isBusy || run.status === "cancelling"} onClick=${stop}>Stop</button>`;
}
