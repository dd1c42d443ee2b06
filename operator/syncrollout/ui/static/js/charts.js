// Charts as inline SVG. They stretch with their box, and strokes do not stretch with them; words around them are HTML.

import { h, s } from "./dom.js";
import { moment, now, number, tick, unit } from "./words.js";

const WIDE = 600;
const HIGH = 100;
const PLOTS = new Map();

const finite = (value) => typeof value === "number" && Number.isFinite(value);

/** What a plot shows at a share of its width, in words; null where it shows nothing. */
export function readAt(id, share) {
  const plot = PLOTS.get(id);
  if (!plot) return null;
  const at = plot.from + share * (plot.to - plot.from);
  const said = plot.lines
    .map(({ name, points }) => [name, nearest(points, at, plot.reach)])
    .filter(([, point]) => point)
    .map(([name, point]) => `${name} ${number(point.value)}${plot.unit}`);
  return said.length ? { when: moment(at), said } : null;
}

function nearest(points, at, reach) {
  let best = null;
  for (const point of points) {
    if (!finite(point.value) || Math.abs(point.at - at) > reach) continue;
    if (!best || Math.abs(point.at - at) < Math.abs(best.at - at)) best = point;
  }
  return best;
}

function path(points, x, y) {
  let drawn = "";
  let pen = false;
  points.forEach((point, index) => {
    if (!finite(point.value)) {
      pen = false;
      return;
    }
    const place = `${x(point.at).toFixed(1)} ${y(point.value).toFixed(1)}`;
    const alone = !pen && !finite(points[index + 1]?.value);
    drawn += pen ? `L${place}` : alone ? `M${place}h.01` : `M${place}`;
    pen = true;
  });
  return drawn;
}

/** The series of a criterion against its limit. `lines`: name, tone and points; `limit`: number, and which side is bad. */
export function spark({ id, title, lines, from, to, limit, unitName }) {
  const values = lines.flatMap(({ points }) => points.map(({ value }) => value)).filter(finite);
  if (!values.length) return null;
  const all = limit ? [...values, limit.number] : values;
  let [least, most] = [Math.min(...all), Math.max(...all)];
  if (least >= 0 && least < most * 0.6) least = 0;
  const room = (most - least || Math.abs(most) || 1) * 0.12;
  const bottom = least === 0 ? 0 : least - room;
  const top = most + room;
  const x = (at) => ((at - from) / (to - from || 1)) * WIDE;
  const y = (value) => HIGH - ((value - bottom) / (top - bottom)) * HIGH;
  const short = unit(unitName);
  PLOTS.set(id, { lines, from, to, unit: short ? ` ${short}` : "", reach: (to - from) / 40 });
  const lineAt = limit ? y(limit.number) : 0;
  const zone = limit && (limit.bad === "above" ? [0, lineAt] : [lineAt, HIGH - lineAt]);
  return h("div", { class: limit ? "plot has-limit" : "plot", "data-plot": id },
    h("div", { class: "plot-box" },
      s("svg", { class: "spark", viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", role: "img", "aria-label": words(title, lines, limit, short) },
        zone && s("rect", { class: "zone", x: 0, y: zone[0].toFixed(1), width: WIDE, height: Math.max(0, zone[1]).toFixed(1) }),
        limit && s("path", { class: "limit", d: `M0 ${lineAt.toFixed(1)}H${WIDE}` }),
        lines.map(({ tone, points }) => s("path", { class: `line ${tone}`, d: path(points, x, y) })),
        lines.map(({ tone, points }) => {
          const last = points.findLast(({ value }) => finite(value));
          return last && s("path", { class: `end ${tone}`, d: `M${x(last.at).toFixed(1)} ${y(last.value).toFixed(1)}h.01` });
        }),
      ),
      limit && h("span", { class: "limit-at", "aria-hidden": "true", style: { top: `${Math.min(92, Math.max(8, lineAt))}%` } }, number(limit.number)),
    ),
    axis(from, to, 3),
  );
}

function words(title, lines, limit, short) {
  const said = lines.map(({ name, points }) => {
    const known = points.map(({ value }) => value).filter(finite);
    if (!known.length) return `${name}: no data`;
    return `${name}: least ${number(Math.min(...known))}, greatest ${number(Math.max(...known))}, last ${number(known.at(-1))} ${short}`;
  });
  return `${title}. ${said.join(". ")}${limit ? `. Limit ${number(limit.number)} ${short}` : ""}`;
}

function axis(from, to, count) {
  const at = Array.from({ length: count }, (_, place) => from + ((to - from) * place) / (count - 1));
  return h("div", { class: "axis", "aria-hidden": "true" }, at.map((each) => h("span", {}, tick(each, to - from))));
}

/** Weights over the whole run: as they were, and from now on as the plan has them. */
export function weights({ steps, plan, stood, from, to }) {
  const x = (at) => (Math.min(1, Math.max(0, (at - from) / (to - from || 1))) * WIDE);
  const y = (weight) => HIGH - weight;
  const here = Math.min(now(), to);
  const past = stepped([...steps, { at: here, weight: steps.at(-1)?.weight ?? 0 }], x, y);
  const coming = plan.length ? stepped([{ at: here, weight: steps.at(-1)?.weight ?? 0 }, ...plan], x, y) : "";
  const area = past && `${past}V${HIGH}H${x(steps[0]?.at ?? from).toFixed(1)}Z`;
  const points = [...steps, ...plan].map(({ at, weight }) => ({ at, value: weight }));
  PLOTS.set("weights", { lines: [{ name: "new", points }], from, to, unit: " %", reach: (to - from) / 20 });
  return h("div", { class: "plot weights-plot", "data-plot": "weights" },
    h("div", { class: "plot-box" },
      h("div", { class: "weights-scale", "aria-hidden": "true" }, [100, 50, 0].map((each) => h("span", {}, `${each} %`))),
      s("svg", { class: "weights", viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", role: "img",
        "aria-label": `Share of new over time: ${points.map(({ at, value }) => `${value} % from ${moment(at)}`).join(", ")}` },
        [0, 50, 100].map((each) => s("path", { class: "grid", d: `M0 ${y(each)}H${WIDE}` })),
        area && s("path", { class: "area", d: area }),
        coming && s("path", { class: "line plan", d: coming }),
        past && s("path", { class: "line new", d: past }),
        stood.length > 1 && s("path", { class: "line stood", d: path(stood, x, y) }),
        here > from && here < to && s("path", { class: "now", d: `M${x(here).toFixed(1)} 0V${HIGH}` }),
      ),
    ),
    axis(from, to, 5),
  );
}

function stepped(points, x, y) {
  return points.map(({ at, weight }, place) => {
    const [across, up] = [x(at).toFixed(1), y(weight)];
    return place ? `H${across}V${up}` : `M${across} ${up}`;
  }).join("");
}
