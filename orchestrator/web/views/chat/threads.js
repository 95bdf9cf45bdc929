// The conversations at the side; on a phone behind a button.

import { get } from "../../api.js";
import { Fault, html, useEffect, useLoad, useState, When } from "../../ui.js";

const PAGE = 40;
const MOST = 200;

/** The list of conversations, newest first; read again when `turn` changes. */
export function Threads({ id, turn }) {
  const [isOpen, open] = useState(false);
  const [limit, more] = useState(PAGE);
  const { value, error, again } = useLoad((signal) => get("/v1/threads", { limit }, signal), [turn, limit]);
  useEffect(() => open(false), [id]);
  return html`
    <aside class="threads ${isOpen ? "is-open" : ""}">
      <div class="threads-top">
        <button type="button" class="quiet unfold" aria-expanded=${isOpen} aria-controls="threads" onClick=${() => open(!isOpen)}>Conversations</button>
        <a class="button" href="#/chat">New conversation</a>
      </div>
      <nav id="threads" aria-label="Conversations">
        ${error && html`<${Fault} error=${error} again=${again} />`}
        ${value?.data.length === 0 && html`<p class="hint">What you say begins your first conversation.</p>`}
        <ul>
          ${value?.data.map((thread) => html`
            <li key=${thread.id}>
              <a href="#/chat/${thread.id}" aria-current=${thread.id === id ? "page" : undefined}>
                <span>${thread.title || "Untitled"}</span><small><${When} at=${thread.created_at} /></small>
              </a>
            </li>`)}
        </ul>
        ${value?.has_more && limit < MOST && html`<button type="button" class="quiet" onClick=${() => more(MOST)}>Older ones</button>`}
      </nav>
    </aside>`;
}
