// Says at once what keeps the page, or the scheduler, from doing its work.
import { list, make, setAttribute, setText, show } from "./dom.js";
import { say } from "./outcome.js";
import { clock, dateAndClock, duration, now } from "./wording.js";

const find = (id) => document.querySelector(`#${id}`);

export class Notices {
  constructor(model, stream, api) {
    Object.assign(this, { model, stream, api });
    this.render();
  }

  render() {
    const { stream, model } = this;
    const notices = [...this.ofTheLink(), ...(model.head === null ? [] : ofTheScheduler(model.head))];
    list(find("notices"), notices, (notice) => notice.key, (notice) => this.item(notice));
    const words = { live: "Live", lost: "Not connected", locked: "Needs a token", connecting: "Connecting" };
    const mark = find("link");
    setText(mark, words[stream.state]);
    setAttribute(mark, "class", `mark ${{ live: "good", connecting: "busy" }[stream.state] ?? "bad"}`);
    document.body.classList.toggle("stale", stream.state !== "live" && model.head !== null);
    setText(find("mesos"), model.head === null ? "" : model.head.connected ? `Mesos master ${model.head.master ?? "connected"}` : "no Mesos master");
    this.footer();
  }

  ofTheLink() {
    const { stream, model } = this;
    if (stream.state === "locked") {
      const text = "Reading needs a token here.";
      return [{ key: "locked", level: "busy", title: text, text: "", changing: "", button: ["Log in", () => this.unlock()] }];
    }
    if (stream.state !== "lost") return [];
    const shown =
      model.head === null || stream.heard === null
        ? "Nothing is known yet."
        : `What you see is of ${clock(stream.heard)} UTC, ${duration(now() - stream.heard)} ago.`;
    const wait = stream.retryAt === null ? 0 : Math.ceil(stream.retryAt - now());
    return [
      {
        key: "lost",
        level: "bad",
        title: "The connection to the scheduler is lost",
        text: stream.why,
        changing: `${shown} ${wait > 0 ? `Trying again in ${wait} s.` : "Trying again …"}`,
        button: ["Try now", () => stream.retry()],
      },
    ];
  }

  async unlock() {
    if ((await logIn(this.api)) !== null) this.stream.retry();
  }

  item(notice) {
    const title = make("strong");
    const text = make("span");
    // A new age each second must not be read out each time.
    const changing = make("span", { "aria-live": "off" });
    const button = notice.button ? make("button", { type: "button", onclick: notice.button[1] }, notice.button[0]) : null;
    const link = make("a");
    const node = make("div", { class: `notice ${notice.level}` }, make("p", {}, title, " ", text, " ", changing, link), button);
    node.update = (shown) => {
      setText(title, shown.text ? `${shown.title}:` : `${shown.title.replace(/\.$/, "")}.`);
      setText(text, shown.text ? `${shown.text.replace(/\.$/, "")}.` : "");
      setText(changing, shown.changing ?? "");
      const [label, href] = shown.link ?? ["", null];
      setText(link, label);
      setAttribute(link, "href", href);
    };
    return node;
  }

  footer() {
    const head = this.model.head;
    if (head === null) return;
    const parts = [`Configuration ${head.config.sha256.slice(0, 12)} of ${clock(head.config.applied_at)} UTC`];
    if (head.framework_id) parts.push(`framework ${head.framework_id}`);
    setText(find("configuration"), parts.join(" · "));
  }
}

function ofTheScheduler(head) {
  const notices = [];
  if (head.problem) {
    const title = head.leads ? "Nothing is started or stopped" : "This scheduler could not lead now";
    notices.push({ key: "problem", level: "bad", title, text: head.problem });
  }
  if (!head.leads) {
    const { leader } = head;
    const text = leader
      ? `the scheduler on ${leader.host} leads. What it has written is shown here, and changes are made there`
      : "it knows of none that leads. What the last one has written is shown here";
    const changing = head.at ? `Read at ${dateAndClock(head.at)} UTC.` : "Nothing was read yet.";
    const link = /^https?:/.test(leader?.url ?? "") ? [`Go to ${leader.host}`, leader.url + window.location.pathname] : null;
    notices.push({ key: "follows", level: "note", title: "This scheduler follows", text, changing, link });
  } else if (!head.connected) {
    const text = "what runs goes on running, but nothing can be started, stopped or checked until a master is found";
    notices.push({ key: "mesos", level: "bad", title: "The scheduler has no connection to Mesos", text });
  }
  if (head.config.error) {
    notices.push({ key: "config", level: "bad", title: "The configuration file has errors, the one before stays in force", text: head.config.error });
  }
  if (head.config.restart_needed.length) {
    const text = head.config.restart_needed.join(", ");
    notices.push({ key: "restart", level: "note", title: "Changed, and in force after the scheduler's next restart", text });
  }
  return notices;
}

async function logIn(api) {
  try {
    return await api.logIn();
  } catch (error) {
    say("bad", `Not logged in: ${error.message}.`);
    return null;
  }
}

async function logOut(api) {
  try {
    await api.logOut();
  } catch (error) {
    say("bad", `Not logged out: ${error.message}.`);
  }
}

// The button that logs in, or out.
export function sessionButton(api, stream) {
  const button = find("session");
  const render = () => {
    const { session } = api;
    setText(button, session === null ? "Log in" : "Log out");
    setText(find("access-state"), session === null ? "" : `${session.name} (${session.role})`);
    show(find("access-state"), session !== null);
  };
  button.addEventListener("click", async () => {
    if (api.session !== null) await logOut(api);
    else if ((await logIn(api)) !== null) stream.retry();
  });
  api.addEventListener("session", render);
  render();
}
