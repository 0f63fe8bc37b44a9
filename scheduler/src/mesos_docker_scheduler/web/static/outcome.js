// Says what became of an action, where screen readers hear it.
import { make } from "./dom.js";

const region = document.querySelector("#outcome");
let timer = null;

// Errors stay until they are put away; what went well goes by itself.
export function say(level, text) {
  clearTimeout(timer);
  const close = make("button", { type: "button", onclick: () => region.replaceChildren() }, "Dismiss");
  region.replaceChildren(make("p", { class: level }, make("span", {}, text), close));
  if (level === "good") timer = setTimeout(() => region.contains(document.activeElement) || region.replaceChildren(), 12_000);
}
