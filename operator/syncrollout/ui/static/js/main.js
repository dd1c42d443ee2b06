// What is looked at, and how it comes to be up to date: the address says what, a stream brings the news.

import { Refused, follow, get, setToken } from "./api.js";
import { readAt } from "./charts.js";
import { h, show } from "./dom.js";
import { fleet } from "./fleet.js";
import { rollout } from "./rollout.js";
import * as theme from "./theme.js";
import { ZONE, setClock } from "./words.js";

const NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;
const LEAST_POLL = 15;
const AFTER_FAILURE = 3;
/** Milliseconds after which a page that nobody sees lets its connection go: a browser has six for all pages of a host. */
const UNSEEN = 10_000;
const TICK = 1000;

const main = document.getElementById("main");
const link = document.getElementById("link");
const state = { key: "", rows: new Map(), total: 0, limited: false, shown: undefined, series: null, stretch: "phase", filter: "", search: "", everything: false, acts: true, refused: null };
let session = new AbortController();
let asked = 0;
let waiting = false;
let unseen = 0;

function route() {
  const [namespace, name] = location.hash.replace(/^#\/?/, "").split("/");
  return NAME.test(namespace ?? "") && NAME.test(name ?? "") ? `${namespace}/${name}` : "";
}

function begin() {
  Object.assign(state, { key: route(), rows: new Map(), total: 0, shown: undefined, series: null, everything: false, refused: null });
  document.title = state.key ? `${state.key.split("/")[1]} · SyncRollout` : "SyncRollout";
  connect();
  render();
}

function connect() {
  session.abort();
  session = new AbortController();
  follow(state.key ? `stream?rollout=${state.key}` : "stream", session.signal, told, linked);
  if (state.key) draw(session.signal);
}

function letGo() {
  session.abort();
  linked("wait", "Paused");
}

function told(name, data) {
  if (name === "refused") {
    state.refused = data;
    return later();
  }
  state.refused = null;
  const about = name === "calm" ? data : data.about;
  setClock(about.now);
  renew(about.page);
  state.acts = about.acts;
  if (name === "fleet") {
    const rows = data.all ? new Map() : state.rows;
    for (const row of data.rows) rows.set(`${row.namespace}/${row.name}`, row);
    for (const gone of data.gone) rows.delete(gone.join("/"));
    Object.assign(state, { rows, total: data.total, limited: data.limited });
    state.shown = null;
  } else if (name === "rollout") {
    state.shown = data.rollout;
  }
  later();
}

/** An operator of another release has another page. Not more than once a minute: two of them may serve side by side. */
function renew(page) {
  const before = state.page;
  state.page = page;
  if (before === undefined || before === page || Date.now() - Number(sessionStorage.getItem("syncrollout-renewed")) < 60_000) return;
  sessionStorage.setItem("syncrollout-renewed", String(Date.now()));
  location.reload();
}

function linked(how, text) {
  link.dataset.state = how;
  const word = document.getElementById("link-text");
  if (word.textContent !== text) word.textContent = text;
}

/** Series come by asking, now and then: those of long stretches change slowly. */
async function draw(signal) {
  const mine = ++asked;
  const again = () => !signal.aborted && mine === asked;
  while (again()) {
    let wait = AFTER_FAILURE;
    if (!document.hidden) {
      try {
        const series = await get(`rollouts/${state.key}/series?stretch=${state.stretch}`, signal);
        if (!again()) return;
        state.series = series;
        wait = series?.series.some(({ why }) => why) ? LEAST_POLL : Math.max(LEAST_POLL, series?.step ?? 0);
        later();
      } catch (error) {
        if (error instanceof Refused || !again()) return;
      }
    }
    await new Promise((done) => setTimeout(done, wait * 1000));
  }
}

function later() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    render();
  });
}

function render() {
  if (state.refused !== null) show(main, login());
  else if (state.shown === undefined) show(main, h("p", { class: "quiet loading" }, "Loading…"));
  else if (!state.key) show(main, fleet(state));
  else if (!state.shown) show(main, missing());
  else show(main, rollout(state));
}

function login() {
  return h("form", { class: "card login", "data-key": "login" },
    h("h1", {}, "Who looks?"),
    h("p", {}, "Rollouts are shown to who has the operator's token, or one of their own that the cluster knows, where it is set so."),
    h("label", {}, h("span", {}, "Token"), h("input", { type: "password", name: "token", autocomplete: "off", required: true, spellcheck: "false" })),
    state.refused && h("p", { class: "note tone-bad", role: "alert" }, state.refused),
    h("button", { type: "submit", class: "main-button" }, "Look"));
}

function missing() {
  return h("div", { class: "card empty" }, h("h1", {}, "Not there"), h("p", {}, `There is no SyncRollout ${state.key} (any more).`), h("p", {}, h("a", { href: "#/" }, "All rollouts")));
}

const ACTIONS = {
  filter: (value) => (state.filter = value === state.filter ? "" : value),
  stretch: (value) => {
    state.stretch = value;
    state.series = null;
    draw(session.signal);
  },
  more: () => (state.everything = !state.everything),
  copy: (value, button) => copy(value, button),
};

async function copy(text, button) {
  let said = "Copied";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const range = document.createRange();
    range.selectNodeContents(button.previousElementSibling);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    said = "Selected";
  }
  button.textContent = said;
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

main.addEventListener("click", (event) => {
  const button = event.target.closest("[data-action]");
  if (button instanceof HTMLButtonElement) {
    ACTIONS[button.dataset.action]?.(button.dataset.value, button);
    return later();
  }
  const row = event.target.closest("tr[data-href]");
  if (row && !event.target.closest("a") && !String(getSelection())) location.hash = row.dataset.href;
});

main.addEventListener("input", (event) => {
  if (event.target.dataset.action === "search") {
    state.search = event.target.value;
    later();
  }
});

main.addEventListener("submit", (event) => {
  event.preventDefault();
  setToken(new FormData(event.target).get("token"));
  begin();
});

const tip = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
document.body.append(tip);

main.addEventListener("pointermove", (event) => {
  const box = event.target.closest("[data-plot] .plot-box");
  const area = box?.querySelector("svg").getBoundingClientRect();
  const found = area && readAt(box.parentElement.dataset.plot, (event.clientX - area.left) / area.width);
  tip.hidden = !found;
  if (!found) return;
  show(tip, h("b", {}, found.when), found.said.map((each) => h("span", {}, each)));
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${area.top - tip.offsetHeight - 6}px`;
});
main.addEventListener("pointerleave", () => (tip.hidden = true));

addEventListener("hashchange", () => {
  begin();
  scrollTo(0, 0);
  main.focus({ preventScroll: true });
});
setInterval(() => state.shown && !document.hidden && later(), TICK);
document.addEventListener("visibilitychange", () => {
  clearTimeout(unseen);
  if (document.hidden) unseen = setTimeout(letGo, UNSEEN);
  else if (session.signal.aborted) connect();
  later();
});
addEventListener("pagehide", letGo);
addEventListener("pageshow", (event) => event.persisted && connect());
theme.begin(document.getElementById("theme"), document.getElementById("theme-text"));
document.getElementById("foot").append(` Times are ${ZONE}.`);
begin();
