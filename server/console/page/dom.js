// Elements without markup: every value becomes a text node or an attribute that is no script.
export const $ = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") {
      for (const [type, listen] of Object.entries(value)) made.addEventListener(type, listen);
    } else if (value !== undefined && value !== false) {
      made.setAttribute(key, value === true ? "" : String(value));
    }
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export function button(text, listen, attributes = {}) {
  return element("button", { type: "button", on: { click: listen }, ...attributes }, text);
}

export function counted(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

export function terms(pairs) {
  const list = element("dl");
  for (const [name, value] of pairs) {
    if (value !== undefined && value !== null && value !== "") list.append(element("dt", {}, name), element("dd", { class: "mono" }, value instanceof Node ? value : String(value)));
  }
  return list;
}
