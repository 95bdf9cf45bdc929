// A grid of any length of which only the rows that can be seen are in the page.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../../ui.js";
import { Tile } from "./tile.js";

const WISH = 176; // a tile's width where there is room
const LABEL = 44; // its caption
const GAP = 12;
const OVER = 2; // rows above and below what is seen
const AHEAD = 6; // rows before the end at which more is asked for
const STEPS = { ArrowLeft: () => -1, ArrowRight: () => 1, ArrowUp: (columns) => -columns, ArrowDown: (columns) => columns };

/** Tiles of `items`; `more` is called when the end comes near. */
export function Grid({ items, hasMore, more, selected, onSelect }) {
  const grid = useRef();
  const seen = useSeen(grid);
  const wanted = useRef(null); // the index that gets the focus once it is there
  const columns = Math.max(2, Math.floor((seen.width + GAP) / (WISH + GAP)));
  const side = (seen.width - GAP * (columns - 1)) / columns;
  const row = side + LABEL + GAP;
  const rows = Math.ceil(items.length / columns);
  const first = Math.max(0, Math.min(Math.floor(seen.top / row) - OVER, rows - 1));
  const last = Math.min(rows, Math.ceil((seen.top + seen.height) / row) + OVER);
  const start = first * columns;
  const shown = seen.width ? items.slice(start, last * columns) : [];

  useEffect(() => { if (hasMore && seen.width && last + AHEAD >= rows) more(); }, [last, rows, hasMore, seen.width]);
  useEffect(() => {
    const link = wanted.current === null ? null : grid.current.querySelector(`[aria-posinset="${wanted.current + 1}"] a`);
    if (link) {
      link.focus({ preventScroll: true });
      wanted.current = null;
    }
  });

  const move = (event) => {
    const at = event.target.closest?.("[aria-posinset]");
    const step = event.target.tagName === "A" && STEPS[event.key]?.(columns);
    if (!at || !step) return;
    event.preventDefault();
    const index = Math.max(0, Math.min(Number(at.getAttribute("aria-posinset")) - 1 + step, items.length - 1));
    wanted.current = index;
    const top = grid.current.getBoundingClientRect().top + Math.floor(index / columns) * row;
    if (top < 80 || top + row > innerHeight - 80) scrollBy(0, top - innerHeight / 3);
    const link = grid.current.querySelector(`[aria-posinset="${index + 1}"] a`);
    link?.focus({ preventScroll: true });
  };

  return html`
    <ul class="grid" ref=${grid} aria-label="Assets" style=${{ height: `${Math.max(0, rows * row - GAP)}px` }} onKeyDown=${move}>
      ${shown.map((asset, number) => {
        const at = start + number;
        const place = {
          width: `${side}px`,
          height: `${side + LABEL}px`,
          transform: `translate(${(at % columns) * (side + GAP)}px, ${Math.floor(at / columns) * row}px)`,
        };
        return html`<${Tile} key=${asset.id} asset=${asset} place=${place} position=${at + 1} size=${hasMore ? -1 : items.length}
          isSelected=${selected.has(asset.id)} hasSelected=${selected.size > 0} onSelect=${(event) => onSelect(at, event)} />`;
      })}
    </ul>`;
}

/** Give how wide an element is, how far it is scrolled past the top of the window, and the window's height, in pixels. */
function useSeen(element) {
  const [seen, set] = useState({ width: 0, top: 0, height: 0 });
  useLayoutEffect(() => {
    let frame = 0;
    const look = () => {
      frame = 0;
      const box = element.current.getBoundingClientRect();
      const now = { width: box.width, top: Math.max(0, -box.top), height: innerHeight };
      set((was) => (was.width === now.width && was.top === now.top && was.height === now.height ? was : now));
    };
    const soon = () => { frame ||= requestAnimationFrame(look); };
    look();
    const sizes = new ResizeObserver(soon);
    sizes.observe(document.body);
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(frame);
      sizes.disconnect();
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
    };
  }, []);
  return seen;
}
