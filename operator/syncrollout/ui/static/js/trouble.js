// What a person has to know before all else: incidents, what stalls, the way back and its steps.

import { h } from "./dom.js";
import { STEPS, chip } from "./marks.js";
import { ago, prose, time } from "./timeline.js";
import { countdown, duration, exactly, now, spaced } from "./words.js";

export function banners(rollout) {
  return [
    rollout.unreadable && banner("bad", "It cannot be read", h("p", {}, rollout.unreadable)),
    rollout.deleting && banner("warn", "Being deleted", h("p", {}, "Traffic goes back to old before the object goes.")),
    incident(rollout.incident),
    rollout.stalled.map((each) => banner("warn", `A person must mend something: ${spaced(each.reason).toLowerCase()}`, h("p", {}, each.message), h("p", { class: "quiet" }, "Since ", time(each.since)))),
  ];
}

function banner(tone, title, ...inside) {
  return h("section", { class: `banner tone-${tone}`, "data-key": title }, h("h2", {}, title), inside);
}

function incident(found) {
  if (!found) return null;
  const open = found.overridden === null && found.deadline;
  const tone = found.overridden !== null ? "calm" : found.severity === "Medium" ? "warn" : "bad";
  const left = open ? found.deadline - now() : 0;
  return h("section", { class: `banner incident tone-${tone}`, "data-key": "incident", "aria-labelledby": "incident-title" },
    h("div", { class: "incident-what" },
      h("h2", { id: "incident-title" }, found.overridden !== null ? `${found.severity} incident, overridden` : `${found.severity} incident`),
      h("p", {}, prose(found.message)),
      found.overridden !== null && h("p", {}, h("b", {}, "Overridden "), found.overriddenBy && `by ${found.overriddenBy}, `, time(found.overriddenAt), `: ${found.overridden}`),
      h("p", { class: "quiet" }, "Since ", time(found.since), found.clearSince && [" · clear since ", time(found.clearSince)])),
    open && h("div", { class: "clock" },
      h("span", { class: "clock-left", role: "timer", title: exactly(found.deadline) }, left > 0 ? countdown(left) : "now"),
      h("span", {}, left > 0 ? "left, then: " : "due: ", found.coming.replace(/ by \S+,| \d{4}-\S+Z/, ""))),
    found.commands.length > 0 && h("div", { class: "incident-do" }, found.commands.map(command)));
}

export function command({ command: text, what }) {
  return h("div", { class: "command", "data-key": text },
    h("span", { class: "command-what" }, what),
    h("div", { class: "command-line" },
      h("code", {}, text),
      h("button", { type: "button", class: "copy", "data-action": "copy", "data-value": text, "aria-label": `Copy the command: ${what}` }, "Copy")));
}

export function rollback(found) {
  if (!found) return null;
  const target = found.confirmed ? `${duration(found.confirmed - found.decided)} to bring everything back` : "everything goes back";
  return h("section", { class: "card way-back", "aria-labelledby": "back-title" },
    h("div", { class: "card-head" }, h("h2", { id: "back-title" }, "Rollback"), h("p", { class: "quiet" }, `from ${found.weight} %, phase ${found.phase || "–"} · ${target}`)),
    h("p", {}, h("b", {}, spaced(found.reason)), ": ", prose(found.message)),
    h("dl", { class: "facts" },
      fact("Decided", time(found.decided)), fact("Everything at old", time(found.confirmed)), found.verified && fact("Traffic seen at old", time(found.verified))),
    found.steps.length > 0 && h("ol", { class: "steps" }, found.steps.map(step)));
}

export const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

function step(each) {
  const mark = STEPS[each.state];
  const took = each.started ? (each.finished ?? now()) - each.started : 0;
  const share = each.started && each.budget ? Math.min(1, took / each.budget) : 0;
  const running = each.state === "Running";
  return h("li", { class: `step tone-${mark?.tone ?? "calm"}`, "data-key": each.name },
    h("div", { class: "step-head" }, chip(mark, each.state), h("h3", {}, spaced(each.name)),
      h("span", { class: "step-time" }, each.started ? (running ? `${countdown(took)} of ${duration(each.budget)}` : `${duration(took)} of ${duration(each.budget)}`) : `budget ${duration(each.budget)}`)),
    each.started && h("span", { class: "meter", role: "img", "aria-label": `${Math.round(share * 100)} percent of its budget` }, h("span", { class: "meter-in", style: { width: `${(share * 100).toFixed(1)}%` } })),
    each.message && h("p", {}, prose(each.message)),
    each.output && h("details", { "data-key": "output" }, h("summary", {}, `What ${each.job ?? "it"} has said last`), h("pre", {}, each.output)));
}

export function sides(rollout) {
  return [shards(rollout.shards), reports(rollout.reports), drill(rollout.drill), others(rollout.others)];
}

function shards(found) {
  if (!found) return null;
  const between = found.oldFrom - found.newBelow;
  return h("section", { class: "card", "data-key": "shards" },
    h("h2", {}, "Slots of work items"),
    h("div", { class: "beam is-thin", role: "img", "aria-label": `new owns ${found.newBelow} slots, old ${1000 - found.oldFrom}, ${between} belong to nobody yet` },
      h("span", { class: "beam-new", style: { width: `${found.newBelow / 10}%` } }),
      h("span", { class: "beam-none", style: { width: `${between / 10}%` } }),
      h("span", { class: "beam-old", style: { width: `${(1000 - found.oldFrom) / 10}%` } })),
    h("p", {}, `New owns ${found.newBelow} of 1000, old ${1000 - found.oldFrom}`, between ? `; ${between} between them belong to nobody yet.` : ".", found.shadow && " New runs dry.", found.stop && " New is stopped."),
    found.waitingFor.length > 0 && h("p", {}, `Waits for ${found.waitingFor.join(", ")}`, found.deadline && [" until ", time(found.deadline)], "."),
    h("p", { class: "quiet" }, `${found.stage}, epoch ${found.epoch}, ConfigMap ${found.configMap}, since `, time(found.since)));
}

function reports(found) {
  if (!found) return null;
  const open = Object.entries(found.open).filter(([, count]) => count).map(([severity, count]) => `${count} ${severity}`);
  return h("section", { class: "card", "data-key": "reports" },
    h("h2", {}, "Reported by people"),
    h("p", {}, open.length ? `Open in this phase: ${open.join(", ")}.` : "None is open in this phase."),
    h("ul", { class: "plain" }, found.latest.map((each) => h("li", { "data-key": String(each.number) },
      h("p", {}, h("b", {}, `#${each.number} ${each.severity}`), ` ${each.message}`), h("p", { class: "quiet" }, each.by || "somebody", ", ", time(each.at))))),
    found.answered > 0 && h("p", { class: "quiet" }, `Answered up to #${found.answered}: ${found.answer}`));
}

function drill(found) {
  if (!found) return null;
  return h("section", { class: "card", "data-key": "drill" },
    h("h2", {}, "Would a rollback work?"),
    found.running && h("p", {}, h("b", {}, `${found.running.mode} drill under way`), " since ", time(found.running.started), found.running.stage && `: ${found.running.stage}`),
    found.last && h("p", {}, h("b", {}, `Last drill: ${spaced(found.last.result ?? "–")}`), ", ", ago(found.last.started), found.last.message && `: ${found.last.message}`),
    found.overdue && h("p", { class: "note tone-warn" }, "Overdue since ", time(found.overdue)),
    found.next && h("p", { class: "quiet" }, "Next ", time(found.next)));
}

function others(found) {
  if (!found.length) return null;
  return h("section", { class: "card", "data-key": "others" },
    h("h2", {}, "Also"),
    h("ul", { class: "plain" }, found.map((each) => h("li", {}, prose(each.said), each.at && [" · ", time(each.at)]))));
}
