// A list of any length of which only the rows in sight are in the document. The newest row is on top.
// One row may be open: it has a detail of its own height below it.
import { element } from "./dom.js";

const BEYOND = 8; // Rows above and below the visible part.

export class List {
  constructor(frame, space, { draw, open, limit }) {
    this.frame = frame;
    this.space = space;
    this.draw = draw;
    this.onOpen = open;
    this.limit = limit;
    this.rows = [];
    this.chosen = null;
    this.opened = null;
    this.detail = null;
    this.drawn = new Map();
    this.isDue = false;
    frame.addEventListener("scroll", () => this.due(), { passive: true });
    new ResizeObserver(() => this.due()).observe(frame);
    this.watch = new ResizeObserver(() => this.due());
  }

  get rowHeight() {
    return parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row"));
  }

  add(rows) {
    const isAway = this.frame.scrollTop > 0 || this.opened !== null;
    this.rows.push(...rows);
    const excess = this.rows.length - this.limit;
    if (excess > 0) this.rows.splice(0, excess);
    if (isAway) this.frame.scrollTop += rows.length * this.rowHeight; // What is looked at stays where it is.
    this.due();
  }

  // Rows whose summary has changed. Returns those that are not in the list.
  change(summaries) {
    const left = new Map(summaries.map((summary) => [summary.seq, summary]));
    for (const row of this.rows) {
      const changed = row.summary && left.get(row.summary.seq);
      if (!changed) continue;
      row.summary = changed;
      left.delete(changed.seq);
      const drawn = this.drawn.get(row);
      if (drawn) drawn.firstChild.replaceWith(this.draw(row));
    }
    this.due();
    return [...left.values()];
  }

  clear() {
    this.close();
    this.rows = [];
    this.chosen = null;
    this.due();
  }

  due() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.paint();
    });
  }

  // Position 0 is the newest row.
  at(position) {
    return this.rows[this.rows.length - 1 - position];
  }

  positionOf(row) {
    let low = 0;
    let high = this.rows.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (this.rows[middle].order === row.order) return this.rows.length - 1 - middle;
      if (this.rows[middle].order < row.order) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  paint() {
    const height = this.rowHeight;
    const openAt = this.opened ? this.positionOf(this.opened) : -1;
    if (this.opened && openAt < 0) this.close();
    const more = openAt >= 0 && this.detail ? this.detail.offsetHeight : 0;
    const top = (position) => position * height + (openAt >= 0 && position > openAt ? more : 0);
    this.space.style.height = `${this.rows.length * height + more}px`;
    const seen = this.frame.scrollTop;
    const before = openAt >= 0 && seen > top(openAt) + height ? more : 0;
    const first = Math.max(0, Math.floor((seen - before) / height) - BEYOND);
    const last = Math.min(this.rows.length - 1, Math.ceil((seen + this.frame.clientHeight) / height) + BEYOND);
    const wanted = new Set();
    for (let position = first; position <= last; position += 1) wanted.add(this.at(position));
    if (openAt >= 0) wanted.add(this.opened);
    for (const [row, item] of this.drawn) {
      if (!wanted.has(row)) {
        item.remove();
        this.drawn.delete(row);
      }
    }
    let above = null;
    const inOrder = [...wanted].map((row) => [this.positionOf(row), row]).sort((one, other) => one[0] - other[0]);
    for (const [position, row] of inOrder) {
      let item = this.drawn.get(row);
      if (!item) {
        item = element("div", { class: "item", role: "listitem" }, this.draw(row));
        this.drawn.set(row, item);
      }
      // The order of the document is that of the eye. An item that is in its place is not moved, so it keeps its focus.
      if (item.parentNode !== this.space || item.previousElementSibling !== above) {
        this.space.insertBefore(item, above ? above.nextSibling : this.space.firstChild);
      }
      above = item;
      item.style.top = `${top(position)}px`;
      item.setAttribute("aria-posinset", position + 1);
      item.setAttribute("aria-setsize", this.rows.length);
      item.classList.toggle("chosen", row === this.chosen);
      item.firstChild.setAttribute("aria-expanded", row === this.opened ? "true" : "false");
      if (!row.summary) item.firstChild.removeAttribute("aria-expanded");
    }
  }

  choose(row) {
    this.chosen = row;
    const position = this.positionOf(row);
    const height = this.rowHeight;
    const top = position * height;
    if (top < this.frame.scrollTop) this.frame.scrollTop = top;
    else if (top + height > this.frame.scrollTop + this.frame.clientHeight) {
      this.frame.scrollTop = top + height - this.frame.clientHeight;
    }
    this.paint();
    this.drawn.get(row)?.querySelector("button")?.focus({ preventScroll: true });
  }

  step(by) {
    if (!this.rows.length) return;
    const from = this.chosen ? this.positionOf(this.chosen) : -1;
    let next = from < 0 ? 0 : from + by;
    while (this.at(next) && !this.at(next).summary) next += by;
    if (this.at(next)) this.choose(this.at(next));
  }

  toggle(row) {
    if (this.opened === row) {
      this.close();
      return;
    }
    this.close();
    this.opened = this.chosen = row;
    this.paint();
    this.detail = element("div", { class: "detail", role: "group", "aria-label": "Event in full", tabindex: "0" });
    this.drawn.get(row).append(this.detail);
    this.watch.observe(this.detail);
    this.onOpen(row, this.detail);
    this.due();
  }

  close() {
    if (this.detail) {
      this.watch.unobserve(this.detail);
      this.detail.remove();
    }
    this.opened = this.detail = null;
    this.due();
  }
}
