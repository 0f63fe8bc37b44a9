// Asks the person something, in a dialog that the browser itself keeps the focus in.
import { make, setText } from "./dom.js";

let number = 0;

// Asks a question; resolves to true, or to a field's value, or to null when the person would rather not.
// `field`: {label, type, value, hint, check(value) → what is wrong with it, or null}.
export function ask({ title, paragraphs = [], field = null, verb, dangerous = false }) {
  number += 1;
  const ids = { title: `dialog-${number}-title`, text: `dialog-${number}-text`, problem: `dialog-${number}-problem` };
  const input = field && makeInput(field, ids);
  const problem = make("p", { id: ids.problem, class: "problem", role: "alert" });
  const cancel = make("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const confirm = make("button", { type: "submit", class: dangerous ? "danger" : "primary" }, verb);
  const form = make(
    "form",
    {},
    make("h2", { id: ids.title }, title),
    make("div", { id: ids.text }, ...paragraphs.map((text) => make("p", {}, text))),
    field && make("label", { class: "field" }, `${field.label} `, input),
    problem,
    make("div", { class: "buttons" }, confirm, cancel),
  );
  const dialog = make("dialog", { "aria-labelledby": ids.title, "aria-describedby": ids.text }, form);
  return open(dialog, form, dangerous && !input ? cancel : (input ?? confirm), () => {
    const wrong = field?.check?.(input.value) ?? null;
    setText(problem, wrong ?? "");
    if (wrong !== null) input.focus();
    return wrong !== null ? undefined : field ? input.value : true;
  });
}

function makeInput(field, ids) {
  return make("input", {
    type: field.type,
    value: field.value ?? "",
    autocomplete: "off",
    spellcheck: "false",
    "aria-describedby": ids.problem,
    ...field.attributes,
  });
}

function open(dialog, form, first, answerOf) {
  const before = document.activeElement;
  return new Promise((resolve) => {
    let answer = null;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const given = answerOf();
      if (given === undefined) return;
      answer = given;
      dialog.close();
    });
    dialog.addEventListener("close", () => {
      // With the dialog goes what was typed into it.
      dialog.remove();
      if (before?.isConnected && !before.closest("[hidden]")) before.focus();
      else document.querySelector("#content").focus();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
    first.focus();
    first.select?.();
  });
}

// Asks for the token.
export function askForToken(why) {
  return ask({
    title: "Log in",
    paragraphs: [
      ...(why ? [why] : []),
      "Changes and outputs need a token of the scheduler. The browser keeps a session of 30 minutes, and not the token.",
    ],
    field: {
      label: "Token",
      type: "password",
      check: (value) => (/^[\x21-\x7e]+$/.test(value.trim()) ? null : "Enter the token: it has no spaces."),
    },
    verb: "Log in",
  }).then((value) => (value === null ? null : value.trim()));
}
