// JSON as text, with the values at some paths marked.
import { element } from "./dom.js";

export const LARGE_CHARS = 65536;

const isOf = (path, paths) => paths.some((one) => one.length === path.length && one.every((step, at) => String(step) === String(path[at])));

// Returns a <pre>. A text that is no JSON, or a large one, is shown as it is; of a large one the beginning.
export function jsonView(text, marked = []) {
  const pre = element("pre", { tabindex: "0" });
  let value;
  try {
    if (text.length > LARGE_CHARS) throw new RangeError("large");
    value = JSON.parse(text);
  } catch {
    pre.append(text.slice(0, LARGE_CHARS));
    if (text.length > LARGE_CHARS) {
      const more = element("button", { type: "button" }, `Show all ${text.length.toLocaleString("en")} characters`);
      more.addEventListener("click", () => { pre.textContent = text; });
      return element("div", {}, pre, more);
    }
    return pre;
  }
  write(pre, value, [], marked, "");
  return pre;
}

function write(into, value, path, marked, indent) {
  const target = isOf(path, marked) && path.length ? element("mark") : null;
  const place = target || into;
  if (value !== null && typeof value === "object") {
    const isList = Array.isArray(value);
    const entries = Object.entries(value);
    place.append(isList ? "[" : "{");
    entries.forEach(([name, inner], at) => {
      place.append(`\n${indent}  `);
      if (!isList) place.append(`${JSON.stringify(name)}: `);
      write(place, inner, [...path, isList ? at : name], marked, `${indent}  `);
      if (at < entries.length - 1) place.append(",");
    });
    if (entries.length) place.append(`\n${indent}`);
    place.append(isList ? "]" : "}");
  } else {
    place.append(JSON.stringify(value));
  }
  if (target) into.append(target);
}
