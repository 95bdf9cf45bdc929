// Where something is said: words, what they refer to, and whether the plan is to be looked at first.

import { ApiError, once } from "../../api.js";
import { Fault, html, useEffect, useRef, useState } from "../../ui.js";
import { Chip } from "./chip.js";
import { send } from "./send.js";

const FIRST = "atelier.plan-first";
const CHARACTERS = 6000;

/** The form below a conversation. `words` is the ref of its text field. */
export function Composer({ threadId, words, attached, onSent }) {
  const [needsApproval, setNeeds] = useState(localStorage.getItem(FIRST) === "yes");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const unsent = useRef(null); // what was sent without an answer: it is sent again under the same key
  const isSending = useRef(false); // known at once, where the state is known after the next paint
  const file = useRef();

  useEffect(() => setError(null), [threadId]);
  const submit = async (event) => {
    event?.preventDefault();
    const text = said(words.current.value, attached.list);
    if (!text || isSending.current) return;
    const ready = attached.list.every((one) => one.asset || one.error);
    if (!ready) return setError(new Error("A file is still on its way. Send when its picture shows."));
    if (unsent.current?.text !== text || unsent.current.from !== threadId) unsent.current = { text, from: threadId, threadId, key: once() };
    isSending.current = true;
    setBusy(true);
    setError(null);
    try {
      const done = await send(unsent.current, needsApproval);
      unsent.current = null;
      words.current.value = "";
      grow(words.current);
      attached.clear();
      onSent(done);
    } catch (failed) {
      if (!(failed instanceof ApiError)) throw failed;
      setError(failed);
    } finally {
      isSending.current = false;
      setBusy(false);
      words.current?.focus();
    }
  };
  const pressed = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  };
  const pasted = (event) => {
    if (event.clipboardData.files.length) {
      event.preventDefault();
      attached.upload(event.clipboardData.files);
    }
  };
  const choose = ({ target }) => {
    setNeeds(target.checked);
    localStorage.setItem(FIRST, target.checked ? "yes" : "no");
  };
  return html`
    <form class="composer" onSubmit=${submit}>
      ${error && html`<${Fault} error=${error} again=${error.status === 0 ? () => submit() : null} />`}
      ${attached.list.length > 0 && html`
        <ul class="chips" aria-label="Attached">
          ${attached.list.map((one) => html`<${Chip} key=${one.key} one=${one} onDrop=${() => attached.drop(one.key)} />`)}
        </ul>`}
      <div class="say">
        <label class="hidden" for="say">Say what you want</label>
        <textarea id="say" ref=${words} rows="1" maxlength=${CHARACTERS} placeholder="Say what you want to make"
          autocomplete="off" onKeyDown=${pressed} onInput=${(event) => grow(event.target)} onPaste=${pasted}></textarea>
        <button disabled=${isBusy}>${isBusy ? "Sending" : "Send"}</button>
      </div>
      <div class="options">
        <button type="button" class="quiet" onClick=${() => file.current.click()}>Add a file</button>
        <input ref=${file} type="file" multiple class="hidden" tabindex="-1" aria-label="Files to add"
          accept="image/*,audio/*,video/*,.mid,.midi,.txt,.md"
          onChange=${({ target }) => { attached.upload(target.files); target.value = ""; words.current.focus(); }} />
        <label class="check"><input type="checkbox" checked=${needsApproval} onChange=${choose} /> Show me the plan before it runs</label>
        <span class="hint keys" aria-hidden="true">Enter sends · Shift+Enter: new line</span>
      </div>
    </form>`;
}

/** Give the words with the references behind them; empty where nothing is said. */
function said(words, list) {
  const references = list.filter((one) => one.asset).map((one) => `@${one.asset.id}`);
  return words.trim() && [words.trim(), ...references].join(" ");
}

function grow(field) {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + 2}px`;
}
