// What the scheduler does, as the stream told it, and what of that needs somebody.

const MOST_EVENTS = 500;

export class Model extends EventTarget {
  constructor() {
    super();
    this.head = null; // the last state's, without its services
    this.services = new Map();
    this.events = []; // the newest first
    this.live = false; // whether the stream is open
  }

  takeState(state) {
    if (state.full) this.services = new Map();
    for (const name of state.gone) this.services.delete(name);
    for (const service of state.services) this.services.set(service.name, { ...service, judgement: null });
    const { services, ...head } = state;
    this.head = head;
    this.changed(new Set(services.map((service) => service.name)));
  }

  setLive(live) {
    if (live === this.live) return;
    this.live = live;
    this.dispatchEvent(new Event("link"));
  }

  // Takes events, the oldest first; those of a connection's beginning may be known already.
  takeEvents(events) {
    const known = new Set(this.events.map(eventKey));
    const fresh = events.filter((event) => !known.has(eventKey(event)));
    if (!fresh.length) return;
    this.events = [...this.events, ...fresh].sort((a, b) => b.at - a.at || b.id - a.id).slice(0, MOST_EVENTS);
    this.dispatchEvent(new CustomEvent("events", { detail: fresh }));
  }

  // Takes one service as an answer has it, before the stream says the same.
  takeService(service) {
    this.services.set(service.name, { ...service, judgement: null });
    this.changed(new Set([service.name]));
  }

  // Tells of a change. What was found out about a service depends on the connection as well.
  changed(names) {
    for (const service of this.services.values()) service.judgement = judge(service, this.head);
    this.dispatchEvent(new CustomEvent("state", { detail: names }));
  }
}

export function eventKey(event) {
  return `${event.id} ${event.at}`;
}

// The states of a service by how much they need somebody, and what they are called where they are chosen.
export const LEVELS = ["bad", "busy", "note", "good"];

const TRANSITIONS = [
  ["restart", "Restarting"],
  ["moving", "Moving"],
  ["misplaced", "Moving"],
  ["rebalancing", "Moving"],
  ["dependency", "Waits for others"],
  ["starting", "Starting"],
  ["unreachable", "Unreachable"],
  ["unhealthy", "Not healthy yet"],
  ["stopping", "Stopping"],
  ["unconfirmed", "Not confirmed"],
];

// How a service does, in a word.
export function judge(service, head) {
  const kinds = new Set(service.reasons.map((reason) => reason.kind));
  const update = service.update;
  const enough = service.healthy >= service.wanted;
  if (kinds.has("not allowed")) return { level: "bad", word: "Not allowed" };
  if (update?.state === "paused") return { level: update.by_operator ? "busy" : "bad", word: update.by_operator ? "Update paused" : "Update failed" };
  if (update?.state === "rolled back" && !update.by_operator) return { level: "bad", word: "Rolled back" };
  if (kinds.has("back-off")) return { level: "bad", word: "Failing" };
  if (kinds.has("resources")) return judgeShortage(service);
  if (kinds.has("unhealthy") && service.healthy === 0) return { level: "bad", word: "Unhealthy" };
  if (kinds.has("held")) return { level: enough ? "note" : "bad", word: enough ? "Held" : "Held, not enough" };
  if (isUpdating(update) || kinds.has("update")) return { level: "busy", word: "Updating" };
  for (const [kind, word] of TRANSITIONS) if (kinds.has(kind)) return { level: "busy", word };
  if (!service.converged && head && !head.connected) return { level: enough ? "note" : "bad", word: enough ? "Last known" : "Not enough" };
  if (!service.converged) return { level: "busy", word: "Changing" };
  if (update?.state === "rolled back") return { level: "note", word: "Rolled back" };
  if (service.scaled_since !== null) return { level: "note", word: "Scaled by hand" };
  return { level: "good", word: service.wanted === 0 ? "Stopped" : "Healthy" };
}

// Slaves that may have room are about to be asked: that is no trouble while something runs.
function judgeShortage(service) {
  const lacking = service.reasons.filter((reason) => reason.kind === "resources").map((reason) => reason.agents);
  const hopeful = lacking.some((agents) => Object.keys(agents).length === 0 || "may have room" in agents);
  if (!hopeful) return { level: "bad", word: "No room" };
  return { level: service.running === 0 ? "bad" : "busy", word: "Waits for offers" };
}

// Whether a version gives way to another: a first deployment is no update.
export function isUpdating(update) {
  return update !== null && update.state === "rolling" && update.from_image !== null;
}

// Whether operators have asked for something else than the configuration.
export function isOverridden(service) {
  return service.scaled_since !== null || Boolean(service.update?.by_operator);
}

export const FILTERS = [
  ["all", "All", () => true],
  ["bad", "Need attention", (service) => service.judgement.level === "bad"],
  ["busy", "Changing", (service) => service.judgement.level === "busy"],
  ["good", "Healthy", (service) => ["good", "note"].includes(service.judgement.level)],
  ["operator", "Changed by hand", isOverridden],
];

// Those that need somebody first, by name within each state.
export function inOrder(services) {
  return [...services].sort(
    (a, b) =>
      LEVELS.indexOf(a.judgement.level) - LEVELS.indexOf(b.judgement.level) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
}
