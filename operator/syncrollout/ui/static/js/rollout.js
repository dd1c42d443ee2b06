// One rollout.

import { h } from "./dom.js";
import { criteria } from "./criteria.js";
import { MARKS, VERDICTS, chip } from "./marks.js";
import { balance, course, folded, prose, time, timeline } from "./timeline.js";
import { banners, command, fact, rollback, sides } from "./trouble.js";
import { spaced } from "./words.js";

const EVENTS = 12;
const COMMANDS = 4;

export function rollout({ shown, series, stretch, everything, acts }) {
  const stood = (series?.series ?? []).find(({ metric }) => metric === "weight");
  const points = (stood?.values ?? []).map((value, place) => ({ at: series.start + place * series.step, value }));
  const mark = MARKS[shown.mark];
  return [
    h("div", { class: "head" },
      h("p", { class: "crumb" }, h("a", { href: "#/" }, "Rollouts"), h("span", { "aria-hidden": "true" }, " / "), shown.namespace),
      h("div", { class: "title" }, h("h1", {}, shown.name), chip(mark, spaced(shown.state)), shown.health && h("span", { class: "quiet" }, `criteria ${shown.health.toLowerCase()}`)),
      h("p", { class: "lead", role: "status" }, folded(sentence(shown.message))),
      h("dl", { class: "facts" },
        shown.next && fact("Next", h("span", {}, prose(shown.next))),
        shown.started && fact("Begun", time(shown.started)),
        shown.finished && fact("Ended", time(shown.finished)),
        shown.run > 0 && fact("Run", `${shown.run} of revision ${shown.revision}`),
        shown.runbook && fact("Runbook", h("a", { href: shown.runbook, rel: "noreferrer", target: "_blank" }, spaced(shown.reason))),
        !shown.seen && fact("Spec", "edited, and not looked at yet"),
        !acts && fact("Replica", "stands by: readings are as recorded, up to a minute old")),
    ),
    shown.unreadable ? banners({ stalled: [], ...shown }) : [
      banners(shown),
      balance(shown),
      shown.preflight?.waits && checklist(shown.preflight),
      timeline(shown),
      rollback(shown.rollback),
      course(shown, points),
      criteria(shown, series, stretch),
      shown.preflight && !shown.preflight.waits && checklist(shown.preflight),
      h("div", { class: "pair" }, sides(shown), told(shown.messages)),
      commands(shown),
      history(shown, everything),
    ],
  ];
}

const sentence = (text) => (/[.!?…]$/.test(text) ? text : `${text}.`);

function checklist(found) {
  if (!found || !(found.waits || found.confirmed.length)) return null;
  const confirmed = found.confirmed.map((each) => h("li", {}, h("b", {}, each.check), ` confirmed by ${each.by || "somebody"}, `, time(each.at), each.message && `: ${each.message}`));
  const all = found.groups.flatMap(({ checks }) => checks);
  const well = all.filter(({ verdict }) => verdict === "Pass").length;
  return h("section", { class: "card", "data-key": "preflight", "aria-labelledby": "before-title" },
    h("div", { class: "card-head" }, h("h2", { id: "before-title" }, "Before the start"), h("p", { class: "quiet" }, found.waits ? `${well} of ${all.length} pass; the run begins when all do` : "All passed, and the run began")),
    found.waits && h("div", { class: "checks" }, found.groups.map(({ group, checks }) => h("section", { "data-key": group },
      h("h3", {}, group),
      h("ul", { class: "plain" }, checks.map((each) => h("li", { "data-key": each.name },
        h("p", { class: "check" }, chip(VERDICTS[each.verdict]), h("b", {}, each.name)),
        each.verdict !== "Pass" && each.message && h("p", { class: "quiet" }, prose(each.message)))))))),
    found.waits && [["old", found.missingOld], ["new", found.missingNew]].map(([side, names]) => names.length > 0 && h("p", { class: "quiet" }, `Variables missing in ${side}: `, h("code", {}, names.join(", ")))),
    confirmed.length > 0 && h("ul", { class: "plain" }, confirmed));
}

function told(found) {
  if (!found || !(found.told.length || found.alarm)) return null;
  const { alarm } = found;
  return h("section", { class: "card", "data-key": "messages", "aria-labelledby": "told-title" },
    h("h2", { id: "told-title" }, "Who was told"),
    alarm && h("p", { class: `note tone-${alarm.ended ? "calm" : "bad"}` },
      h("b", {}, alarm.ended ? "Alarm ended" : "Alarm that nobody has acknowledged"), alarm.ended ? [" ", time(alarm.ended)] : [" since ", time(alarm.since)],
      alarm.acknowledged && `: ${alarm.acknowledged}${alarm.by ? ` (${alarm.by})` : ""}`),
    h("ul", { class: "plain" }, found.told.map((each) => h("li", { "data-key": each.id },
      h("p", {}, h("b", {}, spaced(each.event)), ` to ${each.audiences.join(", ") || "nobody"} `, time(each.at)),
      h("p", { class: "quiet" }, Object.entries(each.deliveries).map(([state, count]) => `${count} ${spaced(state).toLowerCase()}`).join(", "), each.error && ` · ${each.error}`)))));
}

function commands(shown) {
  if (!shown.commands.length || shown.incident?.commands.length) return null;
  const [first, rest] = [shown.commands.slice(0, COMMANDS), shown.commands.slice(COMMANDS)];
  return h("section", { class: "card", "data-key": "commands" }, h("h2", {}, "What you can ask of it"), first.map(command),
    rest.length > 0 && h("details", {}, h("summary", {}, `${rest.length} more`), h("div", { class: "plain" }, rest.map(command))));
}

function history(shown, everything) {
  if (!shown.history.length) return null;
  const listed = everything ? shown.history : shown.history.slice(0, EVENTS);
  return h("section", { class: "card", "aria-labelledby": "history-title", "data-key": "history" },
    h("h2", { id: "history-title" }, "What happened"),
    h("ol", { class: "history" }, listed.map((each) => h("li", { class: each.warning ? "is-warning" : "", "data-key": String(each.sequence) },
      h("span", { class: "history-when" }, time(each.at), shown.run !== each.run && h("span", { class: "tag" }, `run ${each.run}`)),
      h("span", { class: "history-what" }, h("b", {}, spaced(each.reason)), each.warning && h("span", { class: "unseen" }, " (warning)"), folded(each.message))))),
    shown.history.length > EVENTS && h("button", { type: "button", class: "more", "data-action": "more" }, everything ? "Show the last ones only" : `Show all ${shown.history.length}`));
}
