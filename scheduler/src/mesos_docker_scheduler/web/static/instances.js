// A service's instances: those that serve nobody first.
import { cell, make, Paged, row, rowHeading, setAttribute, setText, show } from "./dom.js";
import { age } from "./wording.js";

const AT_FIRST = 50;
const ENDED = new Set(["TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_DROPPED", "TASK_GONE"]);

const find = (id) => document.querySelector(`#${id}`);

export class Instances {
  constructor(actions, log) {
    Object.assign(this, { actions, log, agents: new Map(), frameworkId: null, instances: [] });
    this.paged = new Paged(find("instances"), find("instances-left"), AT_FIRST, (one) => one.task_id, (one) => this.row(one), "instances");
  }

  setAgents(agents) {
    this.agents = new Map(agents.map((agent) => [agent.id, agent]));
    this.draw();
  }

  // Whether an instance runs on a slave of which nothing is known yet.
  knowsNotAll(service) {
    const unknown = service.instances.some((one) => !this.agents.has(one.agent_id) && !this.given?.has(one.agent_id));
    this.given = new Set(service.instances.map((one) => one.agent_id));
    return unknown;
  }

  render(service) {
    this.image = service.image;
    this.instances = service.instances;
    this.draw();
  }

  draw() {
    const ordered = [...this.instances].sort((a, b) => Number(a.in_service) - Number(b.in_service));
    // New objects make each row look whether something of it is different.
    this.paged.render(ordered.map((one) => ({ ...one })), "No instance is on record.");
  }

  row(instance) {
    const container = make("code", { class: "soft" });
    const image = make("code", { class: "soft" });
    const mark = make("span", { class: "mark" });
    const stopping = make("span", { class: "soft" });
    const since = age(instance.since);
    const host = make("span");
    const sandbox = make("a", { target: "_blank", rel: "noreferrer noopener" }, "sandbox");
    const address = make("span");
    const message = make("span", { class: "message" });
    const kill = make("button", { type: "button", class: "small danger", "aria-label": `Kill ${instance.task_id}` }, "Kill");
    const output = make("button", { type: "button", class: "small", "aria-label": `Output of ${instance.task_id}` }, "Output");
    kill.addEventListener("click", () => this.actions.kill(instance.task_id));
    output.addEventListener("click", () => this.log.open(instance.task_id));
    const addressCell = cell("Address", address);
    const messageCell = cell("Last message", message);
    const node = row(
      rowHeading("Instance", make("code", {}, instance.task_id), container, image),
      cell("State", mark, stopping),
      cell("Since", since),
      cell("Slave", host, " ", sandbox),
      addressCell,
      messageCell,
      cell("Actions", make("div", { class: "buttons" }, output, kill)),
    );
    node.update = (shown) => {
      const [level, word] = stateOf(shown);
      setAttribute(mark, "class", `mark ${level}`);
      setText(mark, word);
      setText(stopping, shown.stopping ?? "");
      setText(container, shown.container ?? "");
      setText(image, shown.image === this.image ? "" : shown.image);
      since.update(shown.since);
      setText(host, shown.hostname || shown.agent_id);
      const address_ = this.sandbox(shown);
      show(sandbox, address_ !== null);
      setAttribute(sandbox, "href", address_);
      setAttribute(sandbox, "aria-label", `Sandbox of ${shown.task_id} on ${shown.hostname}`);
      setAttribute(addressCell, "data-empty", !shown.address && !shown.ports.length);
      setAttribute(messageCell, "data-empty", !shown.message);
      setText(address, [shown.address, shown.ports.length ? `host port ${shown.ports.join(", ")}` : ""].filter(Boolean).join(", ") || "–");
      setText(message, shown.message || "–");
      const gone = ENDED.has(shown.state);
      show(kill, this.actions.here && !gone && !shown.stopping, output);
    };
    return node;
  }

  // Where the slave shows the files of an instance; null when that is not known.
  sandbox(instance) {
    const url = this.agents.get(instance.agent_id)?.url;
    if (!url || !this.frameworkId) return null;
    const path = `/frameworks/${this.frameworkId}/executors/${instance.task_id}/runs/latest`;
    try {
      const address = new URL("/files/browse", url);
      address.search = new URLSearchParams({ path });
      return ["http:", "https:"].includes(address.protocol) ? address.href : null;
    } catch {
      return null;
    }
  }
}

function stateOf(instance) {
  const state = instance.state.replace("TASK_", "").toLowerCase().replace("_", " ");
  if (instance.stopping) return ["busy", `${state}, stopping`];
  if (instance.state !== "TASK_RUNNING") {
    return [["staging", "starting"].includes(state) ? "busy" : "bad", state];
  }
  if (instance.healthy === null) return [instance.in_service ? "good" : "busy", state];
  return instance.healthy ? ["good", `${state}, healthy`] : ["bad", `${state}, unhealthy`];
}
