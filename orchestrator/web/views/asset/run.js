// Starting a run from an asset and waiting until it has ended.

import { follow, get, once, post } from "../../api.js";

/** Start a run with `start()` and give it when it has ended; `onPercent(percent)` meanwhile. */
export async function carryOut(start, onPercent, signal) {
  const { id } = await start();
  await follow(id, ({ type, data }) => { if (type === "step.progress") onPercent(data.percent); }, signal);
  const run = await get(`/v1/runs/${id}`, {}, signal);
  if (run.status !== "completed") throw new Error(run.error?.message ?? run.reply ?? `The run was ${run.status}.`);
  return run;
}

/** Start a plan of one step. */
export const call = (tool, args) => post("/v1/runs", { plan: { steps: [{ id: "s1", tool, args }], reply: "" } }, once());
