// All services: those that need somebody first.
import { Agents } from "./agents.js";
import { cell, list, make, Paged, row, rowHeading, setAttribute, setText, show } from "./dom.js";
import { Events } from "./events.js";
import { Charts } from "./history.js";
import { FILTERS, inOrder, isUpdating } from "./model.js";
import { age, count, whatRuns } from "./wording.js";

const AT_FIRST = 25;
const SENTENCES = 3;

const find = (id) => document.querySelector(`#${id}`);

export class Overview {
  constructor(model, api) {
    this.model = model;
    find("overview").hidden = false;
    this.makeFilter();
    this.paged = new Paged(find("services"), find("services-left"), AT_FIRST, (service) => service.name, makeRow, "services");
    this.charts = new Charts(find("overview-charts"), api, model, null, () => this.present());
    this.agents = new Agents(api);
    this.events = new Events(model);
    model.addEventListener("state", () => this.render());
    model.addEventListener("link", () => this.render());
  }

  makeFilter() {
    // A link to the page can say what to show.
    const asked = new URLSearchParams(location.search);
    find("filter-name").value = asked.get("name") ?? "";
    this.show = FILTERS.some(([key]) => key === asked.get("show")) ? asked.get("show") : "all";
    this.counts = new Map();
    for (const [key, label] of FILTERS) {
      const number = make("span", { class: "number" });
      const input = make("input", { type: "radio", name: "state", value: key, onchange: () => this.choose(key) });
      input.checked = key === this.show;
      this.counts.set(key, number);
      find("filter-state").append(make("label", { class: `chip ${key}` }, input, `${label} `, number));
    }
    find("filter-name").addEventListener("input", () => this.choose(this.show));
    find("filter").addEventListener("submit", (event) => event.preventDefault());
  }

  choose(key) {
    this.show = key;
    const query = new URLSearchParams();
    if (key !== "all") query.set("show", key);
    if (find("filter-name").value) query.set("name", find("filter-name").value);
    history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
    this.paged.limit = AT_FIRST;
    this.render();
  }

  render() {
    const all = [...this.model.services.values()];
    if (this.model.head === null) return;
    const name = find("filter-name").value.trim().toLowerCase();
    const named = name ? all.filter((service) => service.name.toLowerCase().includes(name) || whatRuns(service).toLowerCase().includes(name)) : all;
    for (const [key, , fits] of FILTERS) setText(this.counts.get(key), String(named.filter(fits).length));
    const fits = FILTERS.find(([key]) => key === this.show)[2];
    this.paged.render(inOrder(named.filter(fits)), all.length ? "No service is like that." : "The configuration names no service.");
    this.summarise(all);
  }

  summarise(all) {
    const bad = all.filter((service) => service.judgement.level === "bad").length;
    const busy = all.filter((service) => service.judgement.level === "busy").length;
    const certain = this.model.live && this.model.head.connected;
    const text = headline(all.length, bad, busy, certain);
    setText(find("headline"), certain ? text : `Last known: ${text[0].toLowerCase()}${text.slice(1)}`);
    setAttribute(find("headline"), "class", bad ? "bad-text" : null);
    const { wanted, running, healthy } = this.present();
    setText(find("totals"), `${running} of ${count(wanted, "wanted instance")} run, ${healthy} of them are healthy and up to date.`);
    document.title = bad ? `(${bad}!) Scheduler` : "Scheduler";
  }

  present() {
    const sum = { wanted: 0, running: 0, healthy: 0 };
    for (const service of this.model.services.values()) for (const key of Object.keys(sum)) sum[key] += service[key];
    return this.model.head === null ? null : sum;
  }
}

// `certain`: whether it is so now, and not only what was known last.
function headline(all, bad, busy, certain) {
  const [one, many] = certain ? ["is", "are"] : ["was", "were"];
  const verb = (number) => (number === 1 ? one : many);
  if (all === 0) return "No services";
  if (bad) {
    const changing = busy ? `, ${busy} ${verb(busy)} changing` : "";
    return `${bad} of ${count(all, "service")} ${bad === 1 ? "needs" : "need"} attention${changing}`;
  }
  if (busy) return `${busy} of ${count(all, "service")} ${verb(busy)} changing, the rest ${one} healthy`;
  return all === 1 ? `The service ${one} healthy` : `All ${all} services ${many} healthy`;
}

function makeRow(service) {
  const mark = make("span", { class: "mark" });
  const image = make("code", { class: "soft" });
  const running = make("span");
  const healthy = make("span");
  const what = make("ul", { class: "plain" });
  const node = row(
    rowHeading("Service", make("a", { href: `/services/${encodeURIComponent(service.name)}` }, service.name), image),
    cell("State", mark),
    cell("Running", running),
    cell("Up to date", healthy),
    cell("What is going on", what),
  );
  node.update = (shown) => {
    const { level, word } = shown.judgement;
    setAttribute(mark, "class", `mark ${level}`);
    setText(mark, word);
    setText(image, whatRuns(shown));
    setText(running, `${shown.running} of ${shown.wanted}${shown.staging ? `, ${shown.staging} starting` : ""}`);
    setText(healthy, String(shown.healthy));
    setAttribute(healthy, "class", shown.healthy < shown.wanted ? `${level === "bad" ? "bad" : "busy"}-text` : null);
    setAttribute(node, "data-level", level);
    list(what, sentencesOf(shown), (sentence) => sentence.key, makeSentence);
  };
  return node;
}

// What is to be said of a service in a line each: {key, text, at}.
function sentencesOf(service) {
  const sentences = [];
  if (isUpdating(service.update)) {
    const { from_image: from, to_image: to, ready, since } = service.update;
    sentences.push({ key: "update", text: `Update: ${from} → ${to}, ${ready} of ${service.wanted} ready`, at: since });
  }
  if (service.scaled_since !== null) {
    sentences.push({ key: "scaled", text: `Scaled by hand; the configuration says ${service.configured}`, at: service.scaled_since });
  }
  // How far an update is has been said already.
  const reasons = service.reasons.filter((reason) => reason.kind !== "update" || !isUpdating(service.update));
  reasons.slice(0, SENTENCES).forEach(({ text }, index) => sentences.push({ key: `waiting ${index}`, text, at: null }));
  const more = reasons.length - SENTENCES;
  if (more > 0) sentences.push({ key: "more", text: `and ${count(more, "more reason")}`, at: null });
  return sentences;
}

function makeSentence(sentence) {
  const text = make("span");
  const since = age(sentence.at ?? 0);
  const node = make("li", {}, text, " ", since);
  node.update = (shown) => {
    setText(text, shown.text);
    show(since, shown.at !== null);
    if (shown.at !== null) since.update(shown.at);
  };
  return node;
}
