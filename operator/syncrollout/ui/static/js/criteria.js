// Each criterion with its reading, its limit and its course.

import { h } from "./dom.js";
import { spark } from "./charts.js";
import { VERDICTS, chip } from "./marks.js";
import { ago, prose } from "./timeline.js";
import { duration, now, number, unit } from "./words.js";

const GROUPS = [
  ["Success", "To pass this phase", "All of these have to hold before the phase ends."],
  ["RollbackOn", "What goes back at once", "Any of these sends traffic back, or does what the phase says."],
  ["Trigger", "Triggers of any phase", "By severity: Critical at once, High by a deadline, Medium asks a person, Low is told."],
];
const STRETCHES = [["phase", "Phase"], ["1h", "1 h"], ["6h", "6 h"], ["24h", "24 h"], ["7d", "7 d"]];
const GRAVITY = { Critical: 0, High: 1, Medium: 2, Low: 3 };
const WORSE = { Fail: 0, Unknown: 1, Pass: 2 };
/** Triggers are many, and hold most of the time: those that do are folded away. */
const FOLD = "Trigger";

export function criteria(rollout, series, stretch) {
  if (!rollout.criteria.length) return null;
  return h("section", { class: "criteria", "aria-labelledby": "criteria-title" },
    h("div", { class: "section-head" },
      h("h2", { id: "criteria-title" }, "Criteria"),
      h("div", { class: "filters", role: "group", "aria-label": "How far back" }, STRETCHES.map(([value, word]) =>
        h("button", { type: "button", class: "pick", "data-action": "stretch", "data-value": value, "aria-pressed": String(value === stretch) }, word))),
    ),
    series?.why && h("p", { class: "note tone-warn" }, series.why),
    GROUPS.map(([role, title, text]) => group(role, title, text, rollout.criteria.filter((each) => each.role === role), series)),
  );
}

function group(role, title, text, found, series) {
  if (!found.length) return null;
  const sorted = [...found].sort((one, other) => WORSE[one.verdict] - WORSE[other.verdict] || (GRAVITY[one.severity] ?? 9) - (GRAVITY[other.severity] ?? 9));
  const counts = ["Fail", "Unknown", "Pass"].map((verdict) => [verdict, found.filter((each) => each.verdict === verdict).length]).filter(([, count]) => count);
  const summary = counts.map(([verdict, count]) => chip(VERDICTS[verdict], `${count} ${verdict.toLowerCase()}`));
  const cards = (several) => h("div", { class: "cards" }, several.map((each) => card(each, series)));
  if (role !== FOLD) return h("section", { class: "group" }, h("h3", {}, title, h("span", { class: "chips" }, summary)), h("p", { class: "quiet" }, text), cards(sorted));
  const loud = sorted.filter((each) => each.verdict !== "Pass");
  const calm = sorted.filter((each) => each.verdict === "Pass");
  return h("section", { class: "group" }, h("h3", {}, title, h("span", { class: "chips" }, summary)), h("p", { class: "quiet" }, text),
    loud.length > 0 && cards(loud),
    calm.length > 0 && h("details", { "data-key": "calm" }, h("summary", {}, calm.length === 1 ? "One trigger is well" : `${calm.length} triggers are well`), cards(calm)));
}

function card(each, series) {
  const verdict = VERDICTS[each.verdict];
  const plot = drawn(each, series);
  return h("article", { class: `criterion tone-${verdict.tone}`, "data-key": each.id, "aria-label": `${each.metric}: ${each.verdict}` },
    h("div", { class: "criterion-head" },
      h("h4", { title: each.description || null }, named(each), each.severity && h("span", { class: "tag" }, each.severity)),
      chip(verdict)),
    h("div", {},
      h("p", { class: "reading" }, h("span", { class: "big" }, number(each.reading)), each.reading !== null && unit(each.unit) && h("span", { class: "of" }, unit(each.unit))),
      h("p", { class: "against" }, each.role === "Success" ? `has to be ${each.limit}` : `not ${each.limit}`, each.for ? ` for ${duration(each.for)}` : "",
        each.baseline !== null && h("span", {}, ` · old has ${number(each.baseline)}`),
        each.lowest !== null && h("span", {}, ` · surely ${number(each.lowest)} to ${number(each.highest)}`))),
    plot ?? (each.series && !series ? h("div", { class: "plot is-empty" }) : null),
    each.verdict !== "Pass" && each.message && h("p", { class: "criterion-says" }, prose(each.message)),
    h("p", { class: "quiet since" }, each.verdict === "Pass" ? "passes" : each.verdict === "Fail" ? (each.role === "Success" ? "not met" : "holds against new") : "unknown", ", ", ago(each.since)),
  );
}

const named = (each) => each.metric.replace(/^(alert|pods|reports|job):/, (_, kind) => `${kind} `);

function drawn(each, series) {
  if (!each.series || !series?.series) return null;
  const of = (side) => series.series.find((one) => one.metric === each.series && one.side === side);
  const fresh = of("New");
  if (fresh?.why) return h("p", { class: "plot is-empty quiet" }, `No course: ${fresh.why}`);
  const points = (one, last) => {
    const made = (one?.values ?? []).map((value, place) => ({ at: series.start + place * series.step, value }));
    if (typeof last === "number" && made.length && now() - made.at(-1).at < 4 * series.step) made.push({ at: now(), value: last });
    return made;
  };
  const lines = [];
  if (each.relative) lines.push({ name: "old", tone: "old", points: points(of("Old"), each.baseline) });
  lines.push({ name: "new", tone: "new", points: points(fresh, each.reading) });
  const to = Math.max(series.start + series.step * (Math.max(2, fresh?.values?.length ?? 2) - 1), ...lines.map(({ points: all }) => all.at(-1)?.at ?? 0));
  const first = lines.flatMap(({ points: all }) => all).find(({ value }) => typeof value === "number");
  const from = series.stretch === "phase" && first ? Math.max(series.start, Math.min(first.at, to - 600)) : series.start;
  const line = each.relative ? each.threshold : each.number;
  const over = each.compares === "above" || each.compares === "at_least";
  const bad = (each.role === "Success") === over ? "below" : "above";
  const shown = lines.map((one) => ({ ...one, points: one.points.filter(({ at }) => at >= from) }));
  return spark({
    id: each.id, title: `${each.metric} of new over time`, lines: shown, from, to, unitName: each.unit,
    limit: each.compares && typeof line === "number" ? { number: line, bad } : null,
  }) ?? h("p", { class: "plot is-empty quiet" }, "No data in this stretch.");
}
