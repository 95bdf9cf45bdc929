// The public API, as the page asks it. Everything that the page knows of the studio comes through here.

const KEY = "atelier.key";
const ENDS = ["run.completed", "run.failed", "run.cancelled"];
const AGAIN_MS = [500, 1000, 2000, 5000];

/** What the studio refused, or that it could not be reached: `status` is 0 then. */
export class ApiError extends Error {
  constructor(status, { message, code = "", param = null } = {}) {
    super(message ?? "The studio does not answer. Is it running? Start it with: atelier up");
    Object.assign(this, { status, code, param });
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY),
  set(value, remember) {
    key.forget();
    (remember ? localStorage : sessionStorage).setItem(KEY, value);
  },
  forget() {
    sessionStorage.removeItem(KEY);
    localStorage.removeItem(KEY);
    pictures.forEach((url) => url.then((found) => URL.revokeObjectURL(found), () => {}));
    pictures.clear();
  },
};

/** Ask, and give the response; an answer that is no success is an ApiError. `query` leaves out what is null or "". */
export async function ask(method, path, { json, body, query, headers = {}, signal } = {}) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "") url.searchParams.append(name, one);
    }
  }
  const all = { ...headers };
  if (key.get()) all.authorization = `Bearer ${key.get()}`;
  if (json !== undefined) all["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(url, { method, headers: all, body: json === undefined ? body : JSON.stringify(json), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0);
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  if (response.status === 401) dispatchEvent(new CustomEvent("atelier:key"));
  throw new ApiError(response.status, said.error ?? { message: `The studio answered ${response.status}.` });
}

const parsed = async (response) => ((await response).status === 204 ? null : (await response).json());
export const get = (path, query, signal) => parsed(ask("GET", path, { query, signal }));
export const post = (path, json = {}, more = {}) => parsed(ask("POST", path, { json, ...more }));
export const put = (path, json) => parsed(ask("PUT", path, { json }));
export const patch = (path, json) => parsed(ask("PATCH", path, { json }));
export const del = (path) => parsed(ask("DELETE", path));

/** A key for a request that is sent again after a broken connection: the studio does it once. */
export const once = () => ({ headers: { "idempotency-key": crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}` } });

/**
 * Follow a run until it ended or `signal` ends it: `onEvent({id, type, data})` once for each event, whatever breaks meanwhile.
 */
export async function follow(runId, onEvent, signal, after = 0) {
  let last = after;
  let hasEnded = false; // a run that is tried again goes on behind its end
  for (let failures = 0; !signal?.aborted; failures++) {
    try {
      const response = await ask("GET", `/v1/runs/${runId}/events`, { headers: last ? { "last-event-id": `${last}` } : {}, signal });
      for await (const event of events(response.body)) {
        failures = 0;
        if (event.id) last = Number(event.id);
        hasEnded = ENDS.includes(event.type);
        onEvent(event);
      }
      if (hasEnded) return;
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error.status >= 400 && error.status < 500) throw error;
    }
    await new Promise((then) => setTimeout(then, AGAIN_MS[Math.min(failures, AGAIN_MS.length - 1)]));
  }
}

/** Give the events of a body of server-sent events. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split(/\r?\n\r?\n/);
      rest = blocks.pop();
      for (const block of blocks) {
        const event = { id: null, type: "message", data: "" };
        for (const line of block.split(/\r?\n/)) {
          const [, name, said] = /^(\w+): ?(.*)$/s.exec(line) ?? [];
          if (name === "id") event.id = said;
          else if (name === "event") event.type = said;
          else if (name === "data") event.data += said;
        }
        if (event.data) yield { ...event, data: JSON.parse(event.data) };
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

const pictures = new Map(); // path -> promise of an object URL
const PICTURES = 600;

/** Give a URL for an <img>, <audio> or <video>: the route itself, or, where a key is needed, its bytes. */
export function source(path) {
  if (!key.get()) return Promise.resolve(path);
  if (!pictures.has(path)) {
    if (pictures.size >= PICTURES) {
      const [oldest, url] = pictures.entries().next().value;
      pictures.delete(oldest);
      url.then(URL.revokeObjectURL, () => {});
    }
    const made = ask("GET", path).then((response) => response.blob()).then((blob) => URL.createObjectURL(blob));
    made.catch(() => pictures.delete(path));
    pictures.set(path, made);
  }
  return pictures.get(path);
}

export const content = (asset) => `/v1/assets/${asset.id ?? asset}/content`;
export const thumbnail = (asset) => `/v1/assets/${asset.id ?? asset}/thumbnail`;

/** Save what a route gives as a file of this computer. */
export async function download(path, name) {
  const blob = await (await ask("GET", path)).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
