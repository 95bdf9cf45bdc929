// The chat: what is said, the plans that follow from it, and what they make.

import { once } from "../api.js";
import { Empty, html, useCallback, useEffect, useRef, useState, go, say } from "../ui.js";
import { Composer } from "./chat/composer.js";
import { Conversation } from "./chat/conversation.js";
import { Examples } from "./chat/examples.js";
import { takeDrop, hasSomething } from "./chat/drop.js";
import { useAttached } from "./chat/attached.js";
import { send } from "./chat/send.js";
import { Threads } from "./chat/threads.js";

/** One conversation, or, without an id, a new one; `say` of the address is put into the field for words. */
export default function Chat({ id, query }) {
  const [begun, begin] = useState(null); // the run that was sent last, until the conversation shows it
  const [turn, setTurn] = useState(0); // grows with each new thread, so that the list is read again
  const [isOver, setOver] = useState(false);
  const attached = useAttached();
  const words = useRef();
  const wasSent = useRef(false);

  useEffect(() => {
    if (wasSent.current) words.current?.focus();
    wasSent.current = false;
  }, [id]);

  const write = (text) => {
    words.current.value = text;
    words.current.focus();
    words.current.dispatchEvent(new Event("input"));
  };
  const given = query.get("say");
  useEffect(() => { if (given) write(given); }, [given]);

  const sent = useCallback(({ threadId, run, isNew }) => {
    begin({ threadId, run });
    if (!isNew) return;
    wasSent.current = true;
    setTurn((n) => n + 1);
    go(`/chat/${threadId}`);
  }, []);
  const example = (text) => send({ threadId: id, text, key: once() }).then(sent, (error) => say(error.message, true));
  const over = (event) => {
    if (!hasSomething(event)) return;
    event.preventDefault();
    setOver(true);
  };
  const left = (event) => { if (!event.currentTarget.contains(event.relatedTarget)) setOver(false); };
  const dropped = (event) => {
    setOver(false);
    if (takeDrop(event, attached)) words.current?.focus();
  };
  return html`
    <${Threads} id=${id} turn=${turn} />
    <section class="chat ${isOver ? "is-over" : ""}" aria-label="Conversation" onDragOver=${over} onDragLeave=${left} onDrop=${dropped}>
      <${Conversation}
        id=${id} begun=${begun?.threadId === id ? begun.run : null}
        onUse=${(asset) => { attached.add(asset); words.current?.focus(); }}
        onWords=${write}
        empty=${html`<${Empty} title="What shall we make?"><${Examples} onSay=${example} /><//>`}
      />
      <${Composer} threadId=${id} words=${words} attached=${attached} onSent=${sent} />
      ${isOver && html`<p class="drop-here" aria-hidden="true">Drop it here to use it in what you say</p>`}
    </section>`;
}
