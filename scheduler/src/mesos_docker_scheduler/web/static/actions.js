// What operators can do to a service. What was seen is sent along, so that nobody overwrites what he has not seen.
import { instancePath, servicePath } from "./api.js";
import { ask } from "./dialogs.js";
import { make, setText, show } from "./dom.js";
import { say } from "./outcome.js";
import { age, count } from "./wording.js";

const MOST = 100_000;

const find = (id) => document.querySelector(`#${id}`);

// `when`: whether it makes sense now. `question`: what is asked first, for what can do harm.
const ACTIONS = [
  {
    path: "pause",
    label: "Pause the update",
    done: "The update is paused.",
    when: ({ update }) => update?.state === "rolling" && update.can_roll_back,
  },
  {
    path: "resume",
    label: "Resume the update",
    done: "The update goes on.",
    when: ({ update }) => ["paused", "rolled back"].includes(update?.state),
  },
  {
    path: "rollback",
    label: "Roll back",
    done: "The version before is coming back.",
    when: ({ update }) => Boolean(update?.can_roll_back),
    question: ({ name, update }) => ({
      title: `Roll ${name} back?`,
      paragraphs: [
        `Its instances return to ${update.from_image ?? "the version before"}, a few at a time.`,
        "That holds until the configuration says something new, or you resume the update.",
      ],
      verb: "Roll back",
    }),
  },
  {
    path: "restart",
    label: "Restart",
    done: "All instances are replaced, a few at a time.",
    when: ({ running, staging }) => running + staging > 0,
    question: ({ name, running, staging }) => ({
      title: `Restart ${name}?`,
      paragraphs: [`${count(running + staging, "instance")} will be replaced, a few at a time as in an update.`],
      verb: "Restart",
    }),
  },
  {
    path: "reset",
    label: "Reset to the configuration",
    done: "The configuration holds again.",
    when: (service) => service.scaled_since !== null || Boolean(service.update?.by_operator),
    question: ({ name, wanted, configured }) => ({
      title: `Run ${name} as configured?`,
      paragraphs: [
        wanted === configured ? "The configured version will run again." : `It has ${count(wanted, "instance")} and will have ${configured}.`,
        "What operators have changed by hand is over then.",
      ],
      verb: "Reset",
    }),
  },
  {
    path: "reset-backoff",
    label: "Try again now",
    done: "What has failed is tried again at once.",
    when: ({ reasons }) => reasons.some((reason) => reason.kind === "back-off"),
  },
];

export class Actions {
  // `changed` is called when something was done, or has turned out to be different.
  constructor(api, model, name, changed) {
    Object.assign(this, { api, model, name, changed, busy: false });
    this.since = age(0);
    this.overridden = make("span");
    find("overridden").append(this.overridden, " ", this.since);
    this.scale = make("button", { type: "button", class: "primary", onclick: () => this.askScale() }, "Scale");
    find("actions").append(this.scale);
    this.buttons = ACTIONS.map((action) => {
      const button = make("button", { type: "button", onclick: () => this.act(action) }, action.label);
      find("actions").append(button);
      return [action, button];
    });
  }

  get service() {
    return this.model.services.get(this.name);
  }

  // Whether changes are made here: where another scheduler leads, they are made there.
  get here() {
    return this.model.head.leads;
  }

  render(service) {
    for (const [action, button] of this.buttons) show(button, this.here && action.when(service), find("actions-title"));
    const texts = [];
    if (service.scaled_since !== null) texts.push(`Scaled by hand to ${service.wanted}; the configuration says ${service.configured}.`);
    show(this.scale, this.here && service.mode === "replicated", find("actions-title"));
    show(find("actions-elsewhere"), !this.here);
    if (service.update?.by_operator) texts.push(`Its update is ${service.update.state} by hand.`);
    setText(this.overridden, texts.join(" "));
    const at = service.scaled_since ?? service.update?.since ?? 0;
    this.since.update(at);
    show(find("overridden"), texts.length > 0);
  }

  async askScale() {
    const seen = this.service;
    const answer = await ask({
      title: `Scale ${this.name}`,
      paragraphs: [`${count(seen.wanted, "instance")} wanted now; the configuration says ${seen.configured}.`],
      field: {
        label: "Instances",
        type: "number",
        value: seen.wanted,
        attributes: { min: 0, max: MOST, step: 1, inputmode: "numeric", required: true },
        check: (value) => (/^[0-9]{1,6}$/.test(value) && Number(value) <= MOST ? null : `Enter a whole number from 0 to ${MOST}.`),
      },
      verb: "Scale",
    });
    if (answer === null) return;
    const wanted = Number(answer);
    if (wanted < seen.wanted && !(await this.confirmLess(seen, wanted))) return;
    await this.change(seen, "scale", `${this.name} is scaled to ${wanted}.`, { count: wanted });
  }

  confirmLess(seen, wanted) {
    return ask({
      title: wanted === 0 ? `Stop all of ${this.name}?` : `Stop ${count(seen.wanted - wanted, "instance")} of ${this.name}?`,
      paragraphs: [`It has ${count(seen.wanted, "instance")} and will have ${wanted}.`],
      verb: wanted === 0 ? "Stop all" : `Scale to ${wanted}`,
      dangerous: true,
    });
  }

  async act(action) {
    const seen = this.service;
    if (action.question && !(await ask({ ...action.question(seen), dangerous: true }))) return;
    await this.change(seen, action.path, action.done);
  }

  async kill(taskId) {
    const sure = await ask({
      title: "Kill this instance?",
      paragraphs: [taskId, "It is stopped, and another takes its place."],
      verb: "Kill",
      dangerous: true,
    });
    if (sure) await this.send(instancePath(taskId, "kill"), {}, `${taskId} is being stopped.`);
  }

  async change(seen, path, done, body = null) {
    const headers = { "If-Match": `"${seen.revision}"` };
    const service = await this.send(servicePath(this.name, path), headers, done, body);
    if (service) this.model.takeService(service);
  }

  async send(path, headers, done, body = null) {
    if (this.busy) return null;
    this.setBusy(true);
    try {
      const options = { method: "POST", headers: { ...headers } };
      if (body !== null) {
        options.body = JSON.stringify(body);
        options.headers["Content-Type"] = "application/json";
      }
      const answer = await this.api.authorized(path, options);
      if (answer !== null) say("good", done);
      return answer;
    } catch (error) {
      await this.explain(error);
      return null;
    } finally {
      this.setBusy(false);
      this.changed();
    }
  }

  async explain(error) {
    if (error.status === 0) {
      say("bad", `It is not known whether this was done: ${error.message}. Look at the state before you repeat it.`);
      return;
    }
    if (error.status !== 412) {
      // A scheduler that can't write down what is asked says itself what that means.
      say("bad", error.status === 503 ? `No answer yet: ${error.message}.` : `Not done: ${error.message}.`);
      return;
    }
    say("bad", `Not done: ${this.name} has changed since you looked. The page shows the new state; look again, then repeat it if you still want to.`);
    // The stream may be half a second behind.
    const fresh = await this.api.get(servicePath(this.name)).catch(() => null);
    if (fresh !== null) this.model.takeService(fresh);
  }

  // Not `disabled`: that would take the focus away.
  setBusy(busy) {
    this.busy = busy;
    find("actions").setAttribute("aria-busy", String(busy));
  }
}
