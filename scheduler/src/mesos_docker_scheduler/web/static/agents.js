// Which slave runs what. Read when somebody looks, and kept fresh while he does.
import { list, make, Paged, setAttribute, setText, show } from "./dom.js";
import { age, count } from "./wording.js";

const EVERY = 10_000;

const find = (id) => document.querySelector(`#${id}`);

export class Agents {
  constructor(api) {
    this.api = api;
    this.agents = [];
    this.byAgent = null;
    this.reading = false;
    this.details = find("agents");
    this.paged = new Paged(find("agents-list"), find("agents-left"), 50, (agent) => agent.id, () => this.item(), "slaves");
    this.details.addEventListener("toggle", () => this.details.open && this.read());
    find("agents-name").addEventListener("input", () => this.render());
    setInterval(() => this.details.open && !document.hidden && this.read(), EVERY);
  }

  async read() {
    // Very many instances take a while: the next question waits for ten times as long as the last answer.
    if (this.reading || Date.now() < (this.notBefore ?? 0)) return;
    this.reading = true;
    const started = Date.now();
    try {
      this.agents = (await this.api.get("/v1/agents")).agents;
      if (find("agents-list").querySelector("details[open]")) await this.readInstances();
      setText(find("agents-state"), "");
    } catch (error) {
      setText(find("agents-state"), `The slaves can't be read: ${error.message}.`);
    } finally {
      this.notBefore = Date.now() + 10 * (Date.now() - started);
      this.reading = false;
    }
    this.render();
  }

  async readInstances() {
    const { instances } = await this.api.get("/v1/instances");
    this.byAgent = Map.groupBy(instances, (instance) => instance.agent_id);
  }

  render() {
    const wanted = find("agents-name").value.trim().toLowerCase();
    const chosen = this.agents.filter((agent) => agent.hostname.toLowerCase().includes(wanted));
    // Those that get nothing first: they are what somebody looks for here.
    chosen.sort((a, b) => Number(isOut(b)) - Number(isOut(a)));
    this.paged.render(chosen, wanted ? "No slave has such a name." : "No slave has offered anything yet.");
  }

  item() {
    const name = make("strong");
    const instances = make("span", { class: "soft" });
    const where = make("span", { class: "soft" });
    const maintenance = make("span", { class: "mark busy" }, "maintenance");
    const avoided = make("p", { class: "bad-text" });
    const rows = make("ul", { class: "plain inner" });
    const details = make("details", {}, make("summary", {}, name, " ", instances, " ", maintenance, " ", where), avoided, rows);
    const node = make("li", {}, details);
    let agent = null;
    const fill = () => {
      if (!details.open) return;
      list(rows, this.byAgent?.get(agent.id) ?? [], (instance) => instance.task_id, instanceItem);
    };
    node.update = (next) => {
      agent = next;
      setText(name, agent.hostname);
      setText(instances, count(agent.instances, "instance"));
      setText(where, placeOf(agent));
      show(maintenance, agent.in_maintenance);
      setText(avoided, agent.avoided ? `It gets nothing ${agent.avoided}` : "");
      setAttribute(details, "class", isOut(agent) ? "out" : null);
      fill();
    };
    details.addEventListener("toggle", async () => {
      if (!details.open) return;
      if (this.byAgent === null) await this.readInstances().catch(() => {});
      fill();
    });
    return node;
  }
}

function isOut(agent) {
  return agent.in_maintenance || agent.avoided !== null;
}

function placeOf(agent) {
  const attributes = Object.entries(agent.attributes).map(([name, value]) => `${name}: ${value}`);
  return [agent.region, agent.zone, ...attributes].filter(Boolean).join(" · ");
}

function instanceItem(instance) {
  const link = make("a", { href: `/services/${encodeURIComponent(instance.service)}` }, instance.service);
  const state = make("span");
  const since = age(instance.since);
  const node = make("li", {}, link, " ", make("code", { class: "soft" }, instance.task_id), " ", state, " ", since);
  node.update = (shown) => {
    setText(state, shown.state.replace("TASK_", "").toLowerCase());
    since.update(shown.since);
  };
  return node;
}
