// What an instance writes, read from its sandbox and followed.
import { instancePath } from "./api.js";
import { setText, show } from "./dom.js";

const EVERY = 1_500;
const MOST_CHARACTERS = 300_000;

const find = (id) => document.querySelector(`#${id}`);

export class Log {
  constructor(api) {
    this.api = api;
    this.task = null;
    find("log-file").addEventListener("change", () => this.begin());
    find("log-follow").addEventListener("change", () => this.read());
    find("log-close").addEventListener("click", () => this.close());
    setInterval(() => find("log-follow").checked && !document.hidden && this.read(), EVERY);
  }

  open(taskId) {
    this.task = taskId;
    setText(find("log-title"), `Output of ${taskId}`);
    show(find("log"), true);
    find("log-title").focus();
    this.begin();
  }

  close() {
    this.task = null;
    find("log-text").replaceChildren();
    show(find("log"), false, find("instances-title"));
  }

  begin() {
    this.end = null;
    this.length = 0;
    find("log-text").replaceChildren();
    setText(find("log-state"), "Reading …");
    this.reading = null;
    this.read();
  }

  async read() {
    if (this.task === null || this.reading) return;
    const mine = (this.reading = {});
    const query = new URLSearchParams({ file: find("log-file").value });
    if (this.end !== null) query.set("offset", this.end);
    try {
      const part = await this.api.authorized(`${instancePath(this.task, "log")}?${query}`);
      // Another instance or file may have been chosen meanwhile.
      if (this.reading !== mine) return;
      if (part === null) this.close();
      else this.take(part);
    } catch (error) {
      if (this.reading === mine) setText(find("log-state"), `It can't be read: ${error.message}.`);
    } finally {
      if (this.reading === mine) this.reading = null;
    }
  }

  take(part) {
    const box = find("log-text");
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 30;
    if (this.end === null && part.offset > 0) setText(find("log-state"), "The last of it; what was before is in the sandbox.");
    else if (this.end === null) setText(find("log-state"), part.data ? "" : "Nothing so far.");
    else if (part.data) setText(find("log-state"), "");
    this.end = part.end;
    if (!part.data) return;
    box.append(part.data);
    this.length += part.data.length;
    while (this.length > MOST_CHARACTERS && box.childNodes.length > 1) {
      this.length -= box.firstChild.length;
      box.firstChild.remove();
    }
    if (atEnd) box.scrollTop = box.scrollHeight;
  }
}
