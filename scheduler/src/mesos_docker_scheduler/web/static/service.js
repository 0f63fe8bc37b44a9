// One service: what it should be, what it is, why these differ, and what can be done.
import { Actions } from "./actions.js";
import { servicePath } from "./api.js";
import { list, make, setAttribute, setText, show } from "./dom.js";
import { Events } from "./events.js";
import { Charts } from "./history.js";
import { Instances } from "./instances.js";
import { Log } from "./log.js";
import { age, count, until, whatRuns } from "./wording.js";

const EVENTS = 100;

const find = (id) => document.querySelector(`#${id}`);

export class ServicePage {
  constructor(model, api, name) {
    Object.assign(this, { model, api, name });
    find("service").hidden = false;
    setText(find("service-name"), name);
    document.title = `${name} – Scheduler`;
    this.actions = new Actions(api, model, name, () => this.readInstances());
    this.log = new Log(api);
    this.instances = new Instances(this.actions, this.log);
    this.update = new UpdatePanel(find("service-update"));
    this.charts = new Charts(find("service-charts"), api, model, name, () => this.service ?? null);
    this.events = new Events(model, name);
    model.addEventListener("state", ({ detail }) => this.render(detail.has(name)));
  }

  get service() {
    return this.model.services.get(this.name);
  }

  // Reads what the stream does not tell: older events of this service, and where its slaves are.
  async begin() {
    this.readInstances();
    const query = new URLSearchParams({ service: this.name, limit: EVENTS });
    const [events, agents] = await Promise.all([this.api.get(`/v1/events?${query}`), this.api.get("/v1/agents")]);
    this.model.takeEvents(events.events);
    this.instances.setAgents(agents.agents);
  }

  render(changed) {
    const service = this.service;
    show(find("service-body"), service !== undefined);
    show(find("service-state"), service !== undefined);
    if (service === undefined) {
      setText(find("service-image"), "The configuration names no such service (any more).");
      return;
    }
    const { level, word } = service.judgement;
    setText(find("service-state"), word);
    setAttribute(find("service-state"), "class", `mark ${level}`);
    setText(find("service-image"), whatRuns(service));
    document.title = `${level === "bad" ? "(!) " : ""}${service.name} – Scheduler`;
    list(find("service-figures"), figures(service), ([key]) => key, makeFigure);
    this.update.render(service);
    show(find("service-waiting"), service.reasons.length > 0);
    list(find("waiting-list"), service.reasons, (reason) => `${reason.kind} ${service.reasons.indexOf(reason)}`, makeReason);
    this.actions.render(service);
    this.instances.frameworkId = this.model.head.framework_id;
    if (changed) this.readInstances();
  }

  // Reads the instances: at once, and again when something has changed meanwhile; never twice at a time.
  async readInstances() {
    this.stale = true;
    if (this.reading) return;
    this.reading = true;
    while (this.stale) {
      this.stale = false;
      const started = Date.now();
      try {
        const service = await this.api.get(servicePath(this.name));
        this.instances.render(service);
        if (this.instances.knowsNotAll(service)) this.instances.setAgents((await this.api.get("/v1/agents")).agents);
      } catch {
        break; // The stream tells when the scheduler is away, and when a service is gone.
      }
      // Where there are very many, the page must not ask all the time.
      await new Promise((resolve) => setTimeout(resolve, 300 + 5 * (Date.now() - started)));
    }
    this.reading = false;
  }
}

function figures(service) {
  const configured = service.wanted === service.configured ? "" : ` (configuration: ${service.configured})`;
  return [
    ["Running", `${service.running} of ${service.wanted}`],
    ["Starting", String(service.staging)],
    ["Healthy and up to date", String(service.healthy)],
    ["Wanted", `${service.wanted}${configured}`],
    ["Version", service.version],
  ];
}

function makeFigure() {
  const value = make("dd");
  const name = make("dt");
  const node = make("div", {}, name, value);
  node.update = ([key, text]) => {
    setText(name, key);
    setText(value, text);
  };
  return node;
}

function makeReason() {
  const text = make("span");
  const end = until(0);
  const agents = make("ul");
  const node = make("li", {}, text, " ", end, agents);
  node.update = (reason) => {
    setText(text, reason.text);
    show(end, reason.until !== null);
    if (reason.until !== null) end.update(reason.until);
    const lacking = Object.entries(reason.agents).sort(([, a], [, b]) => b - a);
    show(agents, lacking.length > 0);
    list(agents, lacking, ([what]) => what, makeLacking);
  };
  return node;
}

function makeLacking() {
  const node = make("li");
  node.update = ([what, number]) => setText(node, `${count(number, "slave")}: ${what}`);
  return node;
}

const STATES = {
  rolling: "Update under way",
  paused: "Update paused",
  "rolled back": "Rolled back",
  complete: "The last update is complete",
};
const SINCE = { rolling: "last step", paused: "paused", "rolled back": "rolled back", complete: "complete" };

class UpdatePanel {
  constructor(container) {
    this.container = container;
    this.title = make("h2", { id: "update-title" });
    this.images = make("p", { class: "images" });
    this.progress = make("progress", { "aria-labelledby": "update-ready" });
    this.ready = make("span", { id: "update-ready" });
    this.what = make("span");
    this.since = age(0);
    this.reason = make("p", { class: "reason" });
    container.append(this.title, this.images, make("p", {}, this.progress, " ", this.ready, ", ", this.what, " ", this.since), this.reason);
  }

  render(service) {
    const update = service.update;
    const visible = update !== null && (update.from_image !== null || update.state !== "complete");
    show(this.container, visible);
    if (!visible) return;
    const failed = ["paused", "rolled back"].includes(update.state) && !update.by_operator;
    const first = update.from_image === null;
    const title = first && update.state === "rolling" ? "First deployment under way" : STATES[update.state];
    setText(this.title, failed ? `Update failed: ${update.state}` : `${title}${update.by_operator ? ", by an operator" : ""}`);
    setAttribute(this.container, "class", `panel ${failed ? "bad" : update.state === "complete" ? "good" : "busy"}`);
    setText(this.images, first ? update.to_image : `${update.from_image} → ${update.to_image}`);
    setAttribute(this.progress, "max", Math.max(1, service.wanted));
    this.progress.value = Math.min(update.ready, Math.max(1, service.wanted));
    setText(this.ready, `${update.ready} of ${service.wanted} ready`);
    setText(this.what, SINCE[update.state]);
    this.since.update(update.since);
    // What is said below anyway, or that an operator wanted it so, needs no second sentence.
    const said = update.by_operator || service.waiting.some((text) => text.includes(update.reason));
    setText(this.reason, said ? "" : `Why: ${update.reason}`);
    show(this.reason, update.reason !== "" && !said);
  }
}
