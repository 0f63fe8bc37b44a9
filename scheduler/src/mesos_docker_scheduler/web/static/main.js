// The status page: follows the scheduler's stream and shows all services, or the one that the address names.
import { Api } from "./api.js";
import { askForToken } from "./dialogs.js";
import { Model } from "./model.js";
import { Notices, sessionButton } from "./notices.js";
import { Overview } from "./overview.js";
import { ServicePage } from "./service.js";
import { Stream } from "./stream.js";
import { tick } from "./wording.js";

const HISTORY_SECONDS = 10;

// The service that the address names; null: all.
function nameOf(path) {
  const name = path.match(/^\/services\/([^/]+)\/?$/)?.[1] ?? null;
  try {
    return name && decodeURIComponent(name);
  } catch {
    return name; // no service is called that, and the page says so
  }
}

const name = nameOf(location.pathname);
const model = new Model();
const api = new Api(askForToken);
const page = name === null ? new Overview(model, api) : new ServicePage(model, api, name);
const stream = new Stream(api, take);
const notices = new Notices(model, stream, api);

function take(what, data) {
  if (what === "state") model.takeState(data);
  else if (what === "events") model.takeEvents(data);
  else begin();
}

// Reads what the stream does not tell, each time that a connection begins.
function begin() {
  // What can't be read now is read with the next connection, or in a moment.
  page.charts.read(true).catch(() => {});
  page.begin?.().catch(() => {});
}

model.addEventListener("state", () => {
  notices.render();
  page.charts.draw();
});
model.addEventListener("events", () => page.charts.draw());
stream.addEventListener("change", () => {
  model.setLive(stream.state === "live");
  notices.render();
});
sessionButton(api, stream);
// If that is not known yet, it is found out when it matters.
api.begin().catch(() => {});
setInterval(() => {
  tick();
  if (stream.state !== "live") notices.render();
}, 1000);
setInterval(() => {
  if (stream.state === "live" && !document.hidden) page.charts.read().catch(() => {});
}, HISTORY_SECONDS * 1000);
stream.run();
