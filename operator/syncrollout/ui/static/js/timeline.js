// The phases as a timeline: where it has been, where it is, and what comes when at the earliest.

import { h } from "./dom.js";
import { weights } from "./charts.js";
import { VERDICTS, icon } from "./marks.js";
import { countdown, distance, duration, exactly, moment, now, number } from "./words.js";

const FEW = 6;

export function timeline(rollout) {
  const phases = rollout.timeline;
  return h("section", { class: "card", "aria-labelledby": "phases-title" },
    h("h2", { id: "phases-title" }, "Phases"),
    rollout.strayed && h("p", { class: "note tone-warn" }, `${rollout.strayed} is not in spec.phases any more.`),
    h("ol", { class: phases.length > FEW ? "phases is-long" : "phases" }, phases.map((phase, place) => one(phase, place, rollout))),
  );
}

function one(phase, place, rollout) {
  const here = phase.state === "current";
  return h("li", { class: `phase is-${phase.state}`, "data-key": phase.name, "aria-current": here ? "step" : null },
    h("span", { class: "stop", "aria-hidden": "true" }, phase.state === "passed" ? "✓" : phase.state === "left" ? "↩" : place + 1),
    h("div", { class: "phase-in" },
      h("h3", { title: phase.description || null }, phase.name),
      h("p", { class: "phase-weight" }, `${phase.weight} % to new`, phase.shadow && h("span", { class: "tag" }, "shadow"), phase.retiresOld && h("span", { class: "tag" }, "retires old")),
      dates(phase),
      here && progress(phase),
      here && phase.deadline && h("p", { class: "phase-date" }, "To be over by ", time(phase.deadline), `, else ${phase.onDeadline === "Rollback" ? "rollback" : "a person decides"}`),
      results(phase),
      people(phase),
    ),
  );
}

function results(phase) {
  if (phase.state === "current" || phase.state === "coming" || !phase.results?.length) return null;
  return h("details", { class: "results", "data-key": "results" },
    h("summary", {}, phase.end === "Passed" ? "with what readings" : "what was read"),
    h("ul", {}, phase.results.map((each) => h("li", { class: `tone-${VERDICTS[each.verdict]?.tone ?? "calm"}` },
      icon(VERDICTS[each.verdict] ?? { tone: "calm", shape: "dot" }), h("span", {}, h("span", { class: "unseen" }, `${each.verdict}: `), `${each.metric} ${number(each.reading)}`, h("span", { class: "quiet" }, ` ${each.role === "Success" ? "" : "not "}${each.limit}`))))));
}

const signed = (said) => [said.by ? `by ${said.by}, ` : "", time(said.at), said.reason && `: ${said.reason}`];

/** What people have said of the phase, and what it waits for them to say. */
function people({ approval, skipped, state }) {
  return [
    approval?.given && h("p", { class: "phase-date" }, h("b", { class: "yes" }, "✓ Approved "), signed(approval.given)),
    approval && !approval.given && ["current", "coming"].includes(state) && h("p", { class: approval.asked ? "note tone-warn" : "phase-date" },
      approval.asked ? [h("b", {}, "Waits for an approval"), " since ", time(approval.asked), `, of ${approval.who}`] : `Needs an approval, of ${approval.who}`),
    skipped && h("p", { class: "phase-date" }, h("b", {}, "Its time was ended "), signed(skipped)),
  ];
}

function dates(phase) {
  if (phase.state === "passed" || phase.state === "left") {
    if (!phase.entered) return h("p", { class: "phase-date" }, phase.state === "left" ? "left" : "passed");
    const lasted = phase.left ? ` · ${duration(phase.left - phase.entered)}` : "";
    return h("p", { class: "phase-date" }, time(phase.entered), lasted);
  }
  if (phase.state === "current") {
    return h("p", { class: "phase-date" }, phase.since ? ["since ", time(phase.since)] : ["entered ", time(phase.entered), ", its weights do not stand yet"]);
  }
  const lasts = phase.duration ? `for ${duration(phase.duration)}` : "no least time";
  return [
    h("p", { class: "phase-date" }, phase.notBefore ? ["not before ", time(phase.notBefore), ` · ${lasts}`] : lasts),
    phase.waits && h("p", { class: "phase-date" }, phase.waits),
  ];
}

function progress(phase) {
  if (!phase.since || !phase.earliestEnd || phase.earliestEnd <= phase.since) return null;
  const share = Math.min(1, Math.max(0, (now() - phase.since) / (phase.earliestEnd - phase.since)));
  const left = phase.earliestEnd - now();
  return h("div", { class: "phase-progress" },
    h("span", { class: "meter", role: "progressbar", "aria-label": "time of the phase", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(share * 100) },
      h("span", { class: "meter-in", style: { width: `${(share * 100).toFixed(1)}%` } })),
    h("p", { class: "phase-date" }, left > 0 ? [`${countdown(left)} left, to `, time(phase.earliestEnd)] : "its time has passed"));
}

export const time = (seconds) =>
  seconds ? h("time", { datetime: new Date(seconds * 1000).toISOString(), title: exactly(seconds) }, moment(seconds)) : "–";

export const ago = (seconds) =>
  seconds ? h("time", { datetime: new Date(seconds * 1000).toISOString(), title: exactly(seconds) }, distance(seconds)) : "–";

const WRITTEN = /(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/;

/** A sentence, with the times in it as the viewer's clock has them. */
export const prose = (text) => text.split(WRITTEN).map((part, place) => (place % 2 ? time(Date.parse(part) / 1000) : part));

const LONG = 360;

/** The same of something that may be long: its beginning, and the rest when it is asked for. */
export function folded(text) {
  if (text.length <= LONG) return h("span", {}, prose(text));
  const cut = text.lastIndexOf(" ", LONG - 120);
  return h("details", { class: "folded" }, h("summary", {}, prose(text.slice(0, cut)), h("span", { class: "more-of-it" }, " …")), h("span", {}, prose(text.slice(cut + 1))));
}

/** Who has how much, now. */
export function balance(rollout) {
  const share = rollout.weight;
  const here = rollout.timeline.find(({ state }) => state === "current");
  const target = rollout.state === "RollingBack" ? 0 : here?.weight ?? share;
  const moving = target !== share;
  return h("section", { class: "card balance", "aria-labelledby": "balance-title" },
    h("h2", { id: "balance-title", class: "unseen" }, "Weights now"),
    h("div", { class: "sides" },
      side("old", rollout.old, 100 - share),
      side("new", rollout.new, share),
    ),
    h("div", { class: "beam", role: "img", "aria-label": `old ${100 - share} percent, new ${share} percent` },
      h("span", { class: "beam-old", style: { width: `${100 - share}%` } }),
      h("span", { class: "beam-new", style: { width: `${share}%` } }),
      moving && h("span", { class: "beam-target", style: { left: `${100 - target}%` } }),
    ),
    h("p", { class: "quiet" }, moving ? `Moving to ${target} % of new · ` : "", "Weights act on ", rollout.moves.join(", "), "."),
  );
}

function side(which, system, share) {
  return h("div", { class: `side is-${which}` },
    h("span", { class: "side-share" }, share, h("small", {}, " %")),
    h("span", { class: "side-who" }, h("b", {}, which === "old" ? "Old" : "New"), h("span", { class: "mono" }, system.name), h("span", { class: "quiet" }, system.kind)));
}

/** Weights over the whole run, and the plan from here on. */
export function course(rollout, stood) {
  const steps = rollout.weights;
  if (!steps.length) return null;
  const plan = rollout.timeline.filter(({ state, notBefore }) => state === "coming" && notBefore)
    .map(({ notBefore, weight }) => ({ at: Math.max(notBefore, now()), weight }));
  const from = steps[0].at;
  const end = plan.length ? plan.at(-1).at : rollout.finished ?? now();
  const to = end + Math.max(60, (end - from) * 0.06);
  if (plan.length) plan.push({ at: to, weight: plan.at(-1).weight });
  const seen = (stood ?? []).filter(({ at, value }) => at >= from && value !== null);
  return h("section", { class: "card", "aria-labelledby": "course-title" },
    h("div", { class: "card-head" }, h("h2", { id: "course-title" }, "Weights over time"),
      h("p", { class: "legend", "aria-hidden": "true" }, h("span", { class: "key new" }, "new"), seen.length > 1 && h("span", { class: "key stood" }, "as it stood"), plan.length > 0 && h("span", { class: "key plan" }, "earliest plan"))),
    weights({ steps: steps.map(({ at, weight }) => ({ at, weight })), plan, stood: seen, from, to }));
}
