// A plan as a small graph: each step fills as it is worked on. A list to whoever hears it.

import { Dialog, html, useEffect, useState } from "../../ui.js";
import { layout, needs, NODE } from "./layout.js";
import { isOpen } from "./open.js";

const NARROW = matchMedia("(max-width: 40rem)");
const TOOLS = {
  generate_image: "Draw",
  vary_image: "Vary a picture",
  make_video: "Make a video",
  write_text: "Write",
  search_assets: "Search",
  consult: "Look up",
};
const STATES = {
  waiting: "waits",
  queued: "in the queue",
  in_progress: "works",
  completed: "done",
  failed: "failed",
  skipped: "left out",
  cancelled: "stopped",
};

/** Give the name of a tool for people. */
export const toolName = (tool) => TOOLS[tool] ?? tool.replace(/[._]/g, " ");

/** Say in a few words what a step is about: its words, else its plain arguments. */
function about({ args }) {
  const plain = Object.entries(args).filter(([, value]) => ["string", "number"].includes(typeof value) && !/^[$@]/.test(value));
  return args.prompt ?? args.query ?? args.question ?? plain.map(([name, value]) => `${name} ${value}`).join(", ");
}

function useNarrow() {
  const [is, set] = useState(NARROW.matches);
  useEffect(() => {
    const changed = () => set(NARROW.matches);
    NARROW.addEventListener("change", changed);
    return () => NARROW.removeEventListener("change", changed);
  }, []);
  return is;
}

/** The steps of a run; a step opens in a dialog, from which it is stopped, or tried again. */
export function PlanGraph({ run, steps, live, onRetry, onStop }) {
  const isNarrow = useNarrow();
  const [open, setOpen] = useState(null);
  const { places, lines, width, height } = layout(steps, isNarrow);
  const percents = Object.fromEntries(steps.map((step) => [step.id, percent(step, live.steps[step.id])]));
  const chosen = steps.find((step) => step.id === open);
  return html`
    <div class="plan">
      <div class="plan-space" style=${{ width: `${width}rem`, height: `${height}rem` }}>
        <svg viewBox=${`0 0 ${width} ${height}`} aria-hidden="true">
          ${lines.map(({ from, to, d }) => html`<path key=${`${from}-${to}`} d=${d} class=${percents[from] === 100 ? "is-done" : ""} />`)}
        </svg>
        <ol aria-label="Plan">
          ${steps.map((step) => html`
            <li key=${step.id} style=${place(places[step.id])}>
              <${Node} step=${step} percent=${percents[step.id]} live=${live.steps[step.id]} onOpen=${() => setOpen(step.id)} />
            </li>`)}
        </ol>
      </div>
      ${chosen && html`<${Step} step=${chosen} run=${run} onClose=${() => setOpen(null)} onRetry=${() => { setOpen(null); onRetry(chosen.id); }} onStop=${() => { setOpen(null); onStop(chosen.id); }} />`}
    </div>`;
}

const place = ({ x, y }) => ({ left: `${x}rem`, top: `${y}rem`, width: `${NODE.width}rem`, height: `${NODE.height}rem` });

function percent(step, live) {
  if (step.status === "completed") return 100;
  return step.status === "in_progress" ? Math.max(step.percent ?? 0, live?.percent ?? 0) : 0;
}

function state(step, percent, live) {
  if (step.status !== "in_progress" || !percent) return STATES[step.status] ?? step.status;
  const left = live?.eta_s ? `, ${Math.max(1, Math.round(live.eta_s))} s left` : "";
  return `${percent} %${left}`;
}

function Node({ step, percent, live, onOpen }) {
  const before = needs(step);
  return html`
    <button type="button" class="node node-${step.status}" onClick=${onOpen}>
      <span class="fill" style=${{ width: `${percent}%` }} aria-hidden="true"></span>
      <span class="node-tool">${toolName(step.tool)}</span>
      <span class="node-about">${about(step)}</span>
      <span class="node-state">${state(step, percent, live)}</span>
      ${before.length > 0 && html`<span class="hidden">, step ${step.id}, after ${before.join(" and ")}</span>`}
    </button>`;
}

function Step({ step, run, onClose, onRetry, onStop }) {
  const seconds = step.started_at && step.ended_at ? step.ended_at - step.started_at : null;
  const canRetry = ["failed", "cancelled"].includes(step.status) && ["failed", "completed"].includes(run.status);
  const canStop = ["waiting", "queued", "in_progress"].includes(step.status) && isOpen(run) && run.steps.length > 0
    && !["waiting_approval", "cancelling"].includes(run.status);
  return html`
    <${Dialog} title=${`${step.id}: ${toolName(step.tool)}`} onClose=${onClose}>
      <p>${STATES[step.status] ?? step.status}${seconds === null ? "" : ` in ${seconds.toFixed(1)} s`}${step.attempts > 1 ? `, attempt ${step.attempts}` : ""}</p>
      ${step.error && html`<div class="fault"><p>${step.error.message}</p></div>`}
      <table>
        <tbody>
          <tr><th scope="row">tool</th><td><code>${step.tool}</code></td></tr>
          ${Object.entries(step.args).map(([name, value]) => html`
            <tr key=${name}><th scope="row">${name}</th><td>${typeof value === "string" ? value : JSON.stringify(value)}</td></tr>`)}
        </tbody>
      </table>
      ${canStop && html`<p><button type="button" class="quiet" onClick=${onStop}>Stop this step</button> <span class="soft">What needs it is left out; the rest goes on.</span></p>`}
      ${canRetry && html`<p><button type="button" onClick=${onRetry}>Try this step again</button></p>`}
    <//>`;
}
