// Marks that do not rest on colour: a shape, a word, and a tone for the style sheet.

import { h, s } from "./dom.js";

const SHAPES = {
  check: "M4.5 8.5l2.4 2.4 4.8-5.4",
  cross: "M5 5l6 6M11 5l-6 6",
  ask: "M5.9 6.2a2.1 2.1 0 1 1 3 1.9c-.6.3-.9.7-.9 1.4M8 11.6v.1",
  bang: "M8 4.2v4.6M8 11.5v.1",
  back: "M7 4.5L3.8 7.6 7 10.7M4 7.6h5.2a3 3 0 0 1 3 3v.6",
  pause: "M6.2 5v6M9.8 5v6",
  go: "M6 4.6l5 3.4-5 3.4z",
  dot: "M8 7.9v.1",
};

export const MARKS = {
  Trouble: { tone: "bad", shape: "bang", word: "Needs a person" },
  GoingBack: { tone: "bad", shape: "back", word: "Going back" },
  Waiting: { tone: "warn", shape: "pause", word: "Stands still" },
  RolledBack: { tone: "calm", shape: "back", word: "Rolled back" },
  Moving: { tone: "new", shape: "go", word: "Moving" },
  NotBegun: { tone: "calm", shape: "dot", word: "Not begun" },
  Completed: { tone: "good", shape: "check", word: "Completed" },
};

export const VERDICTS = {
  Pass: { tone: "good", shape: "check", word: "Pass" },
  Fail: { tone: "bad", shape: "cross", word: "Fail" },
  Unknown: { tone: "warn", shape: "ask", word: "Unknown" },
};

export const STEPS = {
  Succeeded: { tone: "good", shape: "check", word: "Succeeded" },
  Failed: { tone: "bad", shape: "cross", word: "Failed" },
  Overrun: { tone: "bad", shape: "bang", word: "Overrun" },
  Running: { tone: "new", shape: "go", word: "Running" },
  Skipped: { tone: "calm", shape: "dot", word: "Skipped" },
  Waiting: { tone: "calm", shape: "dot", word: "Waiting" },
};

const UNSEEN = { tone: "calm", shape: "dot" };

export function icon({ tone, shape }) {
  return s("svg", { class: `icon tone-${tone}`, viewBox: "0 0 16 16", "aria-hidden": "true" },
    s("circle", { cx: 8, cy: 8, r: 7.5 }),
    s("path", { d: SHAPES[shape] }));
}

/** Shape and word. */
export function chip(mark, word) {
  const known = mark ?? { ...UNSEEN, word };
  return h("span", { class: `chip tone-${known.tone}` }, icon(known), h("span", {}, word ?? known.word));
}
