// What the counts of a batch mean.

const OPEN = ["pending", "planning", "waiting_approval", "in_progress", "cancelling"];
const WORDS = {
  completed: "done",
  failed: "failed",
  bad_line: "not understood",
  cancelled: "cancelled",
  waiting_approval: "wait for approval",
};

/** Say whether a batch goes on. */
export const isOpen = (batch) => ["in_progress", "cancelling"].includes(batch.status);

/** Give {begun, ended, troubled} numbers of lines. */
export function tally({ counts }) {
  const of = (names) => names.reduce((sum, name) => sum + (counts[name] ?? 0), 0);
  const open = of(OPEN);
  const begun = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return { begun, open, ended: begun - open, troubled: of(["failed", "bad_line", "cancelled"]) };
}

/** Say in words how a batch stands: "12 done, 1 failed, 3 to go". */
export function told(batch) {
  const parts = Object.entries(WORDS).filter(([name]) => batch.counts[name]).map(([name, word]) => `${batch.counts[name]} ${word}`);
  const { open } = tally(batch);
  const going = open - (batch.counts.waiting_approval ?? 0);
  if (going > 0) parts.push(`${going} ${batch.exhausted ? "to go" : "begun"}`);
  if (!batch.exhausted && isOpen(batch)) parts.push("more to be read");
  return parts.join(", ") || "nothing read yet";
}
