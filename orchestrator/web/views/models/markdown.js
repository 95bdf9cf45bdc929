// A small part of Markdown as elements: text is only ever text, so that nothing written in a card can run.

import { html } from "../../ui.js";

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|\[([^\]]+)\]\(([^)\s]+)\)/g;
const RULE = /^\s*\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?\s*$/;

/** Headings, paragraphs, lists, tables, fenced code; in them code, strong, emphasis and links to the web. */
export const Markdown = ({ text }) => blocks(text.split(/\r?\n/)).map((block, n) => html`<${Block} key=${n} block=${block} />`);

/** Split lines into {kind, lines}. */
function blocks(lines) {
  const found = [];
  let open = null;
  for (const line of lines) {
    if (open?.kind === "code") {
      if (line.startsWith("```")) open = null;
      else open.lines.push(line);
      continue;
    }
    const kind = kindOf(line, open);
    if (!kind) open = null;
    else if (open?.kind === kind && kind !== "heading") open.lines.push(line);
    else found.push((open = { kind, lines: kind === "code" ? [] : [line] }));
  }
  return found;
}

function kindOf(line, open) {
  if (!line.trim()) return null;
  if (line.startsWith("```")) return "code";
  if (/^#{1,6} /.test(line)) return "heading";
  if (line.trimStart().startsWith("|")) return "table";
  if (/^\s*[-*] /.test(line)) return "bullets";
  if (/^\s*\d+\. /.test(line)) return "numbers";
  if (/^\s+/.test(line) && ["bullets", "numbers"].includes(open?.kind)) return open.kind; // goes on
  return "words";
}

function Block({ block: { kind, lines } }) {
  if (kind === "code") return html`<pre tabindex="0"><code>${lines.join("\n")}</code></pre>`;
  if (kind === "heading") return heading(lines[0]);
  if (kind === "table") return html`<${Table} lines=${lines} />`;
  if (kind === "bullets") return html`<ul>${items(lines).map((item, n) => html`<li key=${n}>${inline(item)}</li>`)}</ul>`;
  if (kind === "numbers") return html`<ol>${items(lines).map((item, n) => html`<li key=${n}>${inline(item)}</li>`)}</ol>`;
  return html`<p>${inline(lines.join(" "))}</p>`;
}

function heading(line) {
  const [, marks, words] = /^(#+) (.*)$/.exec(line);
  const level = Math.min(marks.length, 6);
  return html`<${`h${level}`}>${inline(words)}<//>`;
}

function items(lines) {
  const found = [];
  for (const line of lines) {
    const begins = /^\s*(?:[-*]|\d+\.) (.*)$/.exec(line);
    if (begins) found.push(begins[1]);
    else found.push(`${found.pop() ?? ""} ${line.trim()}`);
  }
  return found;
}

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());

function Table({ lines }) {
  const hasHead = lines.length > 1 && RULE.test(lines[1]);
  const head = hasHead ? cells(lines[0]) : [];
  const body = (hasHead ? lines.slice(2) : lines).map(cells);
  return html`
    <div class="scrolls" tabindex="0" role="region" aria-label="Table">
      <table>
        ${head.some(Boolean) && html`<thead><tr>${head.map((cell, n) => (cell ? html`<th key=${n} scope="col">${inline(cell)}</th>` : html`<td key=${n}></td>`))}</tr></thead>`}
        <tbody>${body.map((row, n) => html`
          <tr key=${n}>${row.map((cell, m) => (m ? html`<td key=${m}>${inline(cell)}</td>` : html`<th key=${m} scope="row">${inline(cell)}</th>`))}</tr>`)}</tbody>
      </table>
    </div>`;
}

/** Give text with its marks as elements. */
function inline(text) {
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(INLINE)) {
    const [all, code, strong, soft, label, address] = match;
    parts.push(text.slice(from, match.index));
    if (code) parts.push(html`<code>${code}</code>`);
    else if (strong) parts.push(html`<strong>${strong}</strong>`);
    else if (soft) parts.push(html`<em>${soft}</em>`);
    else parts.push(/^https?:\/\//.test(address) ? html`<a href=${address} rel="noreferrer noopener" target="_blank">${label}</a>` : label);
    from = match.index + all.length;
  }
  return [...parts, text.slice(from)];
}
