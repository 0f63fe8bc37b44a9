// Follows /v1/watch for as long as the page is open. With fetch and not EventSource: that can't tell why it is refused.
import { now, setClock } from "./wording.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 10_000;
// The scheduler says something every 15 seconds, if only that it is there.
const SILENCE = 40_000;

// `state`: connecting, live, lost, or locked (reading needs a token). `heard`: when something came last.
export class Stream extends EventTarget {
  constructor(api, take) {
    super();
    this.api = api;
    this.take = take;
    this.state = "connecting";
    this.heard = null;
    this.retryAt = null;
    this.why = "";
    this.wait = FIRST_WAIT;
    addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => document.hidden || this.retry());
  }

  async run() {
    for (;;) {
      await this.follow();
      await this.pause();
    }
  }

  // Tries again at once, if it waits for that.
  retry() {
    this.wake?.();
  }

  async follow() {
    const ending = new AbortController();
    let silence = null;
    const hear = () => {
      this.heard = now();
      clearTimeout(silence);
      silence = setTimeout(() => ending.abort(), SILENCE);
    };
    try {
      const response = await this.api.read("/v1/watch", { signal: ending.signal });
      setClock(response.headers.get("date"));
      hear();
      this.take("begin");
      await this.messages(response.body, hear);
      this.lose("lost", "the scheduler has ended the connection");
    } catch (error) {
      this.lose(error.status === 401 || error.status === 403 ? "locked" : "lost", error.message);
    } finally {
      clearTimeout(silence);
      ending.abort();
    }
  }

  async messages(body, hear) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let left = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      hear();
      const parts = (left + value).split("\n\n");
      left = parts.pop();
      const messages = parts.map(parse).filter((message) => message !== null);
      // Many events come at once: they are shown at once, too.
      const events = messages.filter((message) => message.type === "message").map((message) => message.data);
      if (events.length) this.take("events", events);
      for (const message of messages) if (message.type === "state") this.take("state", message.data);
      if (this.state !== "live" && messages.some((message) => message.type === "state")) this.become("live");
    }
  }

  lose(state, why) {
    this.why = why;
    this.become(state);
  }

  become(state) {
    this.state = state;
    if (state === "live") this.wait = FIRST_WAIT;
    this.dispatchEvent(new Event("change"));
  }

  async pause() {
    // Many pages that lost the same scheduler must not come back at the same moment.
    const wait = this.wait * (0.75 + Math.random() / 2);
    this.retryAt = now() + wait / 1000;
    this.wait = Math.min(LONGEST_WAIT, this.wait * 2);
    this.dispatchEvent(new Event("change"));
    await new Promise((resolve) => {
      this.wake = resolve;
      if (this.state !== "locked") setTimeout(resolve, wait);
    });
    this.wake = null;
    this.retryAt = null;
  }
}

function parse(text) {
  let type = "message";
  const data = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("event: ")) type = line.slice(7);
    else if (line.startsWith("data: ")) data.push(line.slice(6));
  }
  return data.length ? { type, data: JSON.parse(data.join("\n")) } : null;
}
