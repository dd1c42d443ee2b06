// All rollouts, what needs looking at first.

import { h } from "./dom.js";
import { MARKS, chip } from "./marks.js";
import { countdown, distance, now, spaced } from "./words.js";

const ORDER = Object.keys(MARKS);

const compare = (one, other) =>
  ORDER.indexOf(one.mark) - ORDER.indexOf(other.mark)
  || (one.deadline ?? Infinity) - (other.deadline ?? Infinity)
  || one.namespace.localeCompare(other.namespace)
  || one.name.localeCompare(other.name);

export function fleet({ rows, total, limited, filter, search }) {
  const all = [...rows.values()].sort(compare);
  const wanted = search.toLowerCase();
  const found = all.filter((row) => (!filter || row.mark === filter) && `${row.namespace}/${row.name} ${row.phase ?? ""}`.toLowerCase().includes(wanted));
  return [
    h("div", { class: "head" },
      h("h1", {}, "Rollouts"),
      h("p", { class: "lead" }, lead(all)),
    ),
    all.length > 0 && h("div", { class: "tools" },
      h("div", { class: "filters", role: "group", "aria-label": "Show only" },
        pick("", "All", all.length, filter),
        ORDER.filter((mark) => all.some((row) => row.mark === mark)).map((mark) =>
          pick(mark, MARKS[mark].word, all.filter((row) => row.mark === mark).length, filter)),
      ),
      h("label", { class: "search" }, h("span", { class: "unseen" }, "Search by name"),
        h("input", { type: "search", placeholder: "Search", "data-action": "search", autocomplete: "off", spellcheck: "false" })),
    ),
    all.length === 0 && h("div", { class: "card empty" },
      h("h2", {}, "No rollouts yet"),
      h("p", {}, "Apply a SyncRollout, and it appears here by itself:"),
      h("pre", {}, h("code", {}, "kubectl apply -f manifests/examples/minimal.yaml"))),
    found.length > 0 && h("table", { class: "fleet" },
      h("caption", { class: "unseen" }, "Rollouts, what needs looking at first"),
      h("thead", {}, h("tr", {}, ["Rollout", "How it is", "Phase", "New has", "What it says"].map((each) => h("th", { scope: "col" }, each)))),
      h("tbody", {}, found.map(line)),
    ),
    all.length > 0 && found.length === 0 && h("p", { class: "quiet" }, "None of that kind."),
    total > all.length && h("p", { class: "quiet" }, `${all.length} of ${total} rollouts are shown.`),
    limited && h("p", { class: "quiet" }, "Only rollouts of namespaces in which you may list them are shown."),
  ];
}

function lead(all) {
  if (!all.length) return "";
  const needs = all.filter((row) => row.mark === "Trouble" || row.mark === "GoingBack").length;
  const flying = all.filter((row) => ["Moving", "Waiting"].includes(row.mark)).length + needs;
  const going = `${flying} of ${all.length} under way`;
  return needs ? `${needs === 1 ? "One needs" : `${needs} need`} a look; ${going}.` : `Nothing needs a person; ${going}.`;
}

function pick(mark, word, count, chosen) {
  return h("button", { type: "button", class: "pick", "data-action": "filter", "data-value": mark, "aria-pressed": String(chosen === mark) },
    word, h("span", { class: "count" }, count));
}

function line(row) {
  const mark = MARKS[row.mark];
  const path = `#/${row.namespace}/${row.name}`;
  return h("tr", { "data-key": `${row.namespace}/${row.name}`, class: `tone-${mark?.tone ?? "calm"}`, "data-href": path },
    h("th", { scope: "row", class: "who" }, h("a", { href: path }, row.name), h("span", { class: "ns" }, row.namespace)),
    h("td", { class: "how" }, chip(mark, said(row))),
    h("td", { class: "where" }, row.phase
      ? [h("span", { class: "phase-name" }, row.phase), dots(row)]
      : h("span", { class: "quiet" }, "–")),
    h("td", { class: "share" }, h("span", { class: "share-in" },
      h("span", { class: "meter", "aria-hidden": "true" }, h("span", { class: "meter-in", style: { width: `${row.weight}%` } })),
      h("span", { class: "num" }, `${row.weight} %`))),
    h("td", { class: "says" }, h("span", { class: "clamp" }, row.message || "Not looked at yet."),
      row.deadline && h("span", { class: "due" }, row.deadline > now() ? `${countdown(row.deadline - now())} left` : `due ${distance(row.deadline)}`)),
  );
}

function said(row) {
  if (row.mark === "Trouble" && row.severity) return `${row.severity} incident`;
  if (row.mark === "Waiting" || row.mark === "NotBegun") return spaced(row.state);
  if (row.mark === "Moving" && row.health && row.health !== "Healthy") return `Moving, ${row.health.toLowerCase()}`;
  return undefined;
}

function dots(row) {
  return h("span", { class: "dots", role: "img", "aria-label": `phase ${row.place} of ${row.phases}` },
    Array.from({ length: Math.min(row.phases, 24) }, (_, place) =>
      h("i", { class: row.mark === "Completed" || place + 1 < row.place ? "is-passed" : place + 1 === row.place ? "is-here" : "" })));
}
