// The charts of the last hour, of one service or of all: what the scheduler remembers, and the present.
import { EventsChart, RunningChart } from "./chart.js";
import { now } from "./wording.js";

const KEYS = ["at", "wanted", "running", "launches", "failures"];
const HOUR = 3600;

export class Charts {
  // `present()` gives {wanted, running}, or null when it is not known.
  constructor(container, api, model, service, present) {
    Object.assign(this, { api, model, service, present });
    this.running = new RunningChart();
    this.events = new EventsChart();
    this.samples = [];
    container.append(this.running.node, this.events.node);
  }

  // Reads what is new, or everything: after a restart, the scheduler knows nothing of before.
  async read(anew = false) {
    const query = new URLSearchParams(this.service === null ? {} : { service: this.service });
    const after = anew ? undefined : this.samples.at(-1)?.at;
    if (after !== undefined) query.set("after", after);
    const history = await this.api.get(`/v1/history?${query}`);
    const fresh = history.at.map((_, index) => Object.fromEntries(KEYS.map((key) => [key, history[key][index]])));
    const oldest = now() - HOUR;
    this.samples = [...(after === undefined ? [] : this.samples), ...fresh].filter((sample) => sample.at >= oldest);
    this.draw();
  }

  draw() {
    const present = this.present();
    this.running.update(present ? [...this.samples, { ...present, at: now() }] : this.samples);
    this.events.update([...this.samples, this.sinceLastSample()]);
  }

  // What the next sample will count.
  sinceLastSample() {
    const last = this.samples.at(-1)?.at ?? Infinity;
    const fresh = this.model.events.filter((event) => event.at > last && (this.service ?? event.service) === event.service);
    const number = (kind) => fresh.filter((event) => event.kind === kind).length;
    return { at: now(), launches: number("launch"), failures: number("ended") };
  }
}
