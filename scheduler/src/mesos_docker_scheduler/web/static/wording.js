// How the page says times and amounts. Times are seconds of the epoch, in UTC as everywhere in the scheduler.
import { make, setAttribute, setText } from "./dom.js";

let skew = 0;

// Learns from an answer's Date how far this machine's clock is from the scheduler's; it has whole seconds.
export function setClock(date) {
  const difference = Date.parse(date) / 1000 - Date.now() / 1000;
  if (Number.isFinite(difference)) skew = Math.abs(difference) < 2 ? 0 : difference;
}

// The scheduler's present.
export function now() {
  return Date.now() / 1000 + skew;
}

export function clock(at) {
  return new Date(at * 1000).toISOString().slice(11, 19);
}

export function dateAndClock(at) {
  return `${new Date(at * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

// The image of a service, or that it is a command, and what runs it, if it is not Docker.
export function whatRuns(service) {
  const text = service.image ?? "a command";
  return service.containerizer === "docker" ? text : `${text} (${service.containerizer})`;
}

// An element that says how long ago something was, and keeps saying so; see `tick`.
export function age(at) {
  return keepingTime(at, "past");
}

// An element that says when something will be.
export function until(at) {
  return keepingTime(at, "future");
}

function keepingTime(at, tense) {
  const node = make("time", { "data-tense": tense });
  node.update = (time) => setTime(node, time);
  setTime(node, at);
  return node;
}

function setTime(node, at) {
  setAttribute(node, "data-at", at);
  setAttribute(node, "datetime", new Date(at * 1000).toISOString());
  setAttribute(node, "title", dateAndClock(at));
  setText(node, inWords(node, at));
}

// Clocks differ a little: what has been is never said to come, nor the other way round.
function inWords(node, at) {
  const seconds = now() - at;
  if (node.dataset.tense === "future") return seconds < 0 ? `in ${duration(Math.ceil(-seconds))}` : "any moment";
  return seconds < 1 ? "just now" : `${duration(seconds)} ago`;
}

// Brings all ages up to date.
export function tick() {
  for (const node of document.querySelectorAll("time[data-at]")) setText(node, inWords(node, Number(node.dataset.at)));
}
