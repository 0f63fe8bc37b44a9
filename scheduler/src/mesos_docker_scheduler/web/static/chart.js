// Small charts of the last hour, each with a sentence that says the same.
import { make, setAttribute, setText } from "./dom.js";
import { clock, count, duration, now } from "./wording.js";

const MINUTE = 60;
// A chart shows the shortest of these times, in minutes, that has all there is: it starts with little.
const SPANS = [5, 15, 30, 60];
const BUCKETS = 30;
const WIDTH = 360;
const HEIGHT = 100;

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

class Chart {
  constructor(title, legend, marks) {
    this.image = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" }, ...marks);
    this.top = make("span", { class: "top" });
    this.first = make("span");
    this.readout = make("span", { class: "readout", "aria-hidden": "true" });
    this.summary = make("p", { class: "soft" });
    this.title = title;
    this.node = make(
      "figure",
      {},
      make("figcaption", {}, make("strong", {}, title), ...legend.map(([name, text]) => make("span", { class: `key ${name}` }, text)), this.readout),
      make("div", { class: "plot" }, this.top, make("span", { class: "zero" }, "0"), this.image),
      make("div", { class: "axis soft", "aria-hidden": "true" }, this.first, make("span", {}, "now")),
      this.summary,
    );
    this.image.addEventListener("pointermove", (event) => this.point(event));
    this.image.addEventListener("pointerleave", () => setText(this.readout, ""));
  }

  point(event) {
    const box = this.image.getBoundingClientRect();
    setText(this.readout, this.at(this.time + ((event.clientX - box.left) / box.width - 1) * this.span));
  }

  // Chooses what time is shown, up to `time`.
  setSpan(samples, time) {
    const minutes = samples.length ? (time - samples[0].at) / MINUTE : 0;
    this.span = (SPANS.find((span) => span >= minutes) ?? SPANS.at(-1)) * MINUTE;
    this.time = time;
    setText(this.first, `${this.span / MINUTE} min ago`);
  }

  tell(most, text) {
    setText(this.top, String(most));
    setText(this.summary, text);
    setAttribute(this.image, "aria-label", `${this.title}: ${text}`);
  }

  x(at) {
    return Math.max(0, ((at - this.time) / this.span + 1) * WIDTH);
  }
}

// How many instances were wanted and how many ran.
export class RunningChart extends Chart {
  constructor() {
    const area = svg("path", { class: "area" });
    const wanted = svg("path", { class: "wanted" });
    const running = svg("path", { class: "running" });
    super("Instances", [["running", "running"], ["wanted", "wanted"]], [area, running, wanted]);
    Object.assign(this, { area, wanted, running });
  }

  // `samples`: {at, wanted, running}, the oldest first; the last one is the present.
  update(samples) {
    this.samples = samples;
    this.setSpan(samples, now());
    const most = Math.max(1, ...samples.map((sample) => Math.max(sample.wanted, sample.running)));
    const y = (value) => HEIGHT - (value / most) * (HEIGHT - 4) - 1;
    const path = (key) =>
      samples.map((sample, index) => `${index ? `H${this.x(sample.at).toFixed(1)}V` : `M${this.x(sample.at).toFixed(1)},`}${y(sample[key]).toFixed(1)}`).join("");
    const line = samples.length ? `${path("running")}H${WIDTH}` : "";
    setAttribute(this.running, "d", line);
    setAttribute(this.wanted, "d", samples.length ? `${path("wanted")}H${WIDTH}` : "");
    setAttribute(this.area, "d", line && `${line}V${HEIGHT}H${this.x(samples[0].at).toFixed(1)}Z`);
    this.tell(most, this.words());
  }

  words() {
    if (!this.samples.length) return "Nothing is known yet.";
    const present = this.samples.at(-1);
    const least = this.samples.reduce((a, b) => (b.running < a.running ? b : a));
    const text = `${present.running} of ${present.wanted} wanted run`;
    return least.running < present.running ? `${text}; the fewest were ${least.running}, at ${clock(least.at)} UTC.` : `${text}.`;
  }

  at(time) {
    const sample = this.samples.findLast((one) => one.at <= time);
    return sample ? `${clock(sample.at)} UTC: ${sample.running} running, ${sample.wanted} wanted` : "not known";
  }
}

// How many instances were launched and how many failed, in each thirtieth of the time shown.
export class EventsChart extends Chart {
  constructor() {
    const launches = svg("path", { class: "launches" });
    const failures = svg("path", { class: "failures" });
    super("Launches and failures", [["launches", "launched"], ["failures", "failed"]], [launches, failures]);
    Object.assign(this, { launches, failures });
  }

  // `samples`: {at, launches, failures}.
  update(samples) {
    this.setSpan(samples, now());
    // Bars stand where they are while time goes on: it goes by whole bars.
    this.each = this.span / BUCKETS;
    this.time = Math.ceil(this.time / this.each) * this.each;
    this.buckets = Array.from({ length: BUCKETS }, () => ({ launches: 0, failures: 0 }));
    for (const sample of samples) {
      const bucket = this.buckets[this.bucketOf(sample.at)];
      if (!bucket) continue;
      bucket.launches += sample.launches;
      bucket.failures += sample.failures;
    }
    const most = Math.max(1, ...this.buckets.map((bucket) => Math.max(bucket.launches, bucket.failures)));
    const step = WIDTH / BUCKETS;
    const bars = (key, from) =>
      this.buckets
        .map((bucket, index) => {
          if (!bucket[key]) return "";
          const height = (bucket[key] / most) * (HEIGHT - 4);
          return `M${(index * step + from).toFixed(1)},${HEIGHT}v${-height.toFixed(1)}h${(step * 0.4).toFixed(1)}v${height.toFixed(1)}z`;
        })
        .join("");
    setAttribute(this.launches, "d", bars("launches", step * 0.1));
    setAttribute(this.failures, "d", bars("failures", step * 0.5));
    this.tell(most, this.words(samples));
  }

  bucketOf(time) {
    return Math.floor((time - this.time + this.span) / this.each);
  }

  words(samples) {
    const sum = (key) => this.buckets.reduce((total, bucket) => total + bucket[key], 0);
    const launches = sum("launches");
    const since = samples.length ? now() - samples[0].at : 0;
    const when = since < MINUTE ? "so far" : `in the last ${duration(Math.min(since, this.span))}`;
    return `${launches} ${launches === 1 ? "launch" : "launches"} and ${count(sum("failures"), "failure")} ${when}.`;
  }

  at(time) {
    const index = this.bucketOf(time);
    const bucket = this.buckets[index];
    const from = clock(this.time - this.span + index * this.each);
    return bucket ? `${from} UTC: ${bucket.launches} launched, ${bucket.failures} failed` : "";
  }
}
