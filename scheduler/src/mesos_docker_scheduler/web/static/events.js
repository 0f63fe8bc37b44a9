// What has happened lately, the newest first.
import { cell, make, Paged, row } from "./dom.js";
import { eventKey } from "./model.js";
import { clock, dateAndClock } from "./wording.js";

const BAD = new Set(["ended", "lost", "refused", "call failed", "config refused", "disconnected", "survey failed", "foreign", "store"]);
const GOOD = new Set(["converged", "connected", "running", "recovered"]);

export class Events {
  // `service`: whose events alone; null: all.
  constructor(model, service = null) {
    Object.assign(this, { model, service });
    document.querySelector("#events-section").hidden = false;
    document.querySelector("#events").closest("table").classList.toggle("one-service", service !== null);
    this.paged = new Paged(
      document.querySelector("#events"),
      document.querySelector("#events-left"),
      30,
      eventKey,
      (event) => this.row(event),
      "events",
    );
    model.addEventListener("events", () => this.render());
    this.render();
  }

  render() {
    const events = this.service === null ? this.model.events : this.model.events.filter((event) => event.service === this.service);
    this.paged.render(events, "Nothing has happened yet.");
  }

  row(event) {
    const level = BAD.has(event.kind) ? "bad" : GOOD.has(event.kind) ? "good" : "plain";
    const time = make("time", { datetime: new Date(event.at * 1000).toISOString(), title: dateAndClock(event.at) }, clock(event.at));
    return row(
      cell("Time (UTC)", time),
      cell("Service", event.service ? make("a", { href: `/services/${encodeURIComponent(event.service)}` }, event.service) : "–"),
      cell(
        "What",
        make("span", { class: `kind ${level}` }, event.kind),
        ` ${event.text}`,
        event.task_id ? make("code", { class: "soft" }, ` ${event.task_id}`) : null,
      ),
    );
  }
}
