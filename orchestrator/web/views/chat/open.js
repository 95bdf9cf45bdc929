// Whether a run goes on.

const OPEN = ["pending", "planning", "waiting_approval", "in_progress", "cancelling"];

/** Say whether a run goes on. */
export const isOpen = (run) => OPEN.includes(run.status);
