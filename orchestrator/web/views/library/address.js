// What is looked for, as a part of the page's address, so that it can be kept and sent.

const NAMES = ["q", "like", "kind", "tag", "model", "collection", "from", "to"];
const DAY_S = 86_400;

export const NOTHING = Object.fromEntries(NAMES.map((name) => [name, ""]));

/** Give what an address asks for: each of the names, "" where it says nothing. */
export const read = (query) => Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? ""]));

/** Give the address that asks for it. */
export function write(wanted) {
  const some = new URLSearchParams(NAMES.filter((name) => wanted[name]).map((name) => [name, wanted[name]]));
  return some.size ? `#/library?${some}` : "#/library";
}

/** Say whether anything at all is asked for. */
export const isOpen = (wanted) => NAMES.every((name) => !wanted[name]);

/** Give the filters as the API takes them in an address; days are those of this computer's clock. */
export function filters({ kind, tag, model, collection, from, to }) {
  const [first, last] = [startOf(from), startOf(to)];
  return { kind, tag: words(tag), model, collection, from: first, to: last === "" ? "" : last + DAY_S };
}

/** Give words that are separated by commas. */
export const words = (text) => text.split(",").map((word) => word.trim()).filter(Boolean);

function startOf(day) {
  const at = new Date(`${day}T00:00`).getTime() / 1000;
  return day && Number.isFinite(at) && at >= 0 ? at : "";
}
