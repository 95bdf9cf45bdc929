// Sending what was said: each request has a key, so that it is done once whatever happens to the connection.

import { post } from "../../api.js";

const TITLE = 60; // characters

/**
 * Send {threadId, text, key} and give {threadId, run, isNew}. Where `threadId` is null a thread is begun and noted in
 * `draft`, so that the same draft can be sent again.
 */
export async function send(draft, needsApproval = false) {
  const isNew = draft.isNew || draft.threadId === null;
  if (draft.threadId === null) {
    draft.threadId = (await post("/v1/threads", { title: title(draft.text) })).id;
    draft.isNew = true;
  }
  const run = await post(`/v1/threads/${draft.threadId}/runs`, { say: draft.text, needs_approval: needsApproval }, draft.key);
  return { threadId: draft.threadId, run, isNew };
}

/** Give a title of what was said first: its first words, without references. */
export function title(text) {
  const words = text.replace(/@asset_\w+/g, "").replace(/\s+/g, " ").trim();
  return words.length <= TITLE ? words : `${words.slice(0, TITLE).replace(/\s\S*$/, "")}…`;
}
