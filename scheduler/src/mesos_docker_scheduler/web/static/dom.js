// Makes and changes elements. All text goes in as text: nothing from the server is ever taken for markup.

// An element; properties named onSOMETHING are listeners, all others attributes. null children are left out.
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else setAttribute(node, name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

// Touches the document only where something is different: what is read or selected stays undisturbed.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// Shows or hides an element. When it is the one in use, `instead` gets the focus, which would be lost.
export function show(node, visible, instead = null) {
  if (node.hidden === !visible) return;
  const inUse = !visible && node.contains(document.activeElement);
  node.hidden = !visible;
  if (inUse && instead) instead.focus();
}

const kept = new WeakMap();

// Has a container show items in this order: makes what is new, updates what is there, removes what is gone.
// makeItem(item) returns the node, with an `update(item)` if it can change. The focus survives.
export function list(container, items, keyOf, makeItem) {
  const before = kept.get(container) ?? new Map();
  const after = new Map();
  const focused = container.contains(document.activeElement) ? document.activeElement : null;
  for (const item of items) {
    const key = keyOf(item);
    const node = before.get(key) ?? makeItem(item);
    after.set(key, node);
    if (node.update && node.shown !== item) node.update(item);
    node.shown = item;
  }
  for (const [key, node] of before) if (!after.has(key)) node.remove();
  let cursor = container.firstChild;
  for (const node of after.values()) {
    if (node === cursor) cursor = cursor.nextSibling;
    else container.insertBefore(node, cursor);
  }
  kept.set(container, after);
  if (focused && focused.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
}

// A list of which `limit` items are shown, with a button for more.
export class Paged {
  constructor(container, left, limit, keyOf, makeItem, noun) {
    Object.assign(this, { container, limit, keyOf, makeItem, noun });
    this.step = limit;
    this.text = make("span");
    this.button = make("button", { type: "button", onclick: () => this.more() });
    left.append(this.text, " ", this.button);
    this.left = left;
    this.items = [];
  }

  render(items, empty = "") {
    this.items = items;
    this.empty = empty;
    list(this.container, items.slice(0, this.limit), this.keyOf, this.makeItem);
    const hidden = Math.max(0, items.length - this.limit);
    setText(this.text, items.length === 0 ? empty : hidden ? `${this.limit} of ${items.length} ${this.noun} are shown.` : "");
    setText(this.button, `Show ${Math.min(this.step, hidden)} more`);
    show(this.button, hidden > 0);
    show(this.left, hidden > 0 || (items.length === 0 && empty !== ""));
  }

  more() {
    this.limit += this.step;
    this.render(this.items, this.empty);
    if (this.button.hidden) this.container.lastElementChild?.querySelector("a, button")?.focus();
  }
}

// A table's row: cells by their heading, which narrow screens show in front of each.
export function row(...cells) {
  return make("tr", { role: "row" }, ...cells);
}

export function cell(heading, ...children) {
  return make("td", { role: "cell", "data-label": heading }, ...children);
}

export function rowHeading(heading, ...children) {
  return make("th", { role: "rowheader", scope: "row", "data-label": heading }, ...children);
}
