// One rollout.

import { h } from "./dom.js";
import { criteria } from "./criteria.js";
import { MARKS, chip } from "./marks.js";
import { balance, course, prose, time, timeline } from "./timeline.js";
import { banners, command, fact, rollback, sides } from "./trouble.js";
import { spaced } from "./words.js";

const EVENTS = 12;

export function rollout({ shown, series, stretch, everything, acts }) {
  const stood = (series?.series ?? []).find(({ metric }) => metric === "weight");
  const points = (stood?.values ?? []).map((value, place) => ({ at: series.start + place * series.step, value }));
  const mark = MARKS[shown.mark];
  return [
    h("div", { class: "head" },
      h("p", { class: "crumb" }, h("a", { href: "#/" }, "Rollouts"), h("span", { "aria-hidden": "true" }, " / "), shown.namespace),
      h("div", { class: "title" }, h("h1", {}, shown.name), chip(mark, spaced(shown.state)), shown.health && h("span", { class: "quiet" }, `criteria ${shown.health.toLowerCase()}`)),
      h("p", { class: "lead", role: "status" }, prose(sentence(shown.message))),
      h("dl", { class: "facts" },
        shown.next && fact("Next", h("span", {}, prose(shown.next))),
        shown.started && fact("Begun", time(shown.started)),
        shown.finished && fact("Ended", time(shown.finished)),
        shown.run > 0 && fact("Run", `${shown.run} of revision ${shown.revision}`),
        !shown.seen && fact("Spec", "edited, and not looked at yet"),
        !acts && fact("Replica", "stands by: readings are as recorded, up to a minute old")),
    ),
    shown.unreadable ? banners({ stalled: [], ...shown }) : [
      banners(shown),
      balance(shown),
      timeline(shown),
      rollback(shown.rollback),
      checklist(shown.preflight),
      course(shown, points),
      criteria(shown, series, stretch),
      h("div", { class: "pair" }, sides(shown)),
      shown.commands.length > 0 && !shown.incident?.commands.length && h("section", { class: "card", "data-key": "commands" },
        h("h2", {}, "What you can ask of it"), shown.commands.map(command)),
      history(shown, everything),
    ],
  ];
}

const sentence = (text) => (/[.!?…]$/.test(text) ? text : `${text}.`);

function checklist(found) {
  if (!found) return null;
  return h("section", { class: "card", "data-key": "preflight" }, h("h2", {}, "Before the start"),
    h("ul", { class: "plain" }, found.map((each) => h("li", {}, chip(each.mark, each.state), ` ${each.name}`, each.message && h("p", { class: "quiet" }, prose(each.message))))));
}

function history(shown, everything) {
  if (!shown.history.length) return null;
  const listed = everything ? shown.history : shown.history.slice(0, EVENTS);
  return h("section", { class: "card", "aria-labelledby": "history-title", "data-key": "history" },
    h("h2", { id: "history-title" }, "What happened"),
    h("ol", { class: "history" }, listed.map((each) => h("li", { class: each.warning ? "is-warning" : "", "data-key": String(each.sequence) },
      h("span", { class: "history-when" }, time(each.at), shown.run !== each.run && h("span", { class: "tag" }, `run ${each.run}`)),
      h("span", { class: "history-what" }, h("b", {}, spaced(each.reason)), each.warning && h("span", { class: "unseen" }, " (warning)"), h("span", {}, prose(each.message)))))),
    shown.history.length > EVENTS && h("button", { type: "button", class: "more", "data-action": "more" }, everything ? "Show the last ones only" : `Show all ${shown.history.length}`));
}
