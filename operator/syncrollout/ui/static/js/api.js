// What is asked of the operator. The token goes in a header, and is forgotten with the tab.

const KEY = "syncrollout-token";
const SILENCE = 40_000;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;

export class Refused extends Error {}

let token = sessionStorage.getItem(KEY) ?? "";

export function setToken(value) {
  token = value.trim();
  if (token) sessionStorage.setItem(KEY, token);
  else sessionStorage.removeItem(KEY);
}

const headers = () => (token ? { Authorization: `Bearer ${token}` } : {});

/** Who is not known, or may not see this, is asked for another token. */
async function refusal(answer) {
  if (answer.status === 401) throw new Refused(token ? "That token is not the right one." : "");
  if (answer.status === 403) throw new Refused(`${(await answer.text()).trim()}.`);
}

/** JSON of the API, null where there is no such thing. */
export async function get(path, signal) {
  const answer = await fetch(`api/v1/${path}`, { headers: headers(), cache: "no-store", signal });
  await refusal(answer);
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error((await answer.text()).trim() || `status ${answer.status}`);
  return answer.json();
}

/** Follow a stream until `signal` aborts: `told(name, data)` for each event, `link(state, text)` for how it goes. */
export async function follow(path, signal, told, link) {
  let wait = FIRST_WAIT;
  while (!signal.aborted) {
    try {
      await read(path, signal, (name, data) => {
        wait = FIRST_WAIT;
        link("live", "Live");
        told(name, data);
      });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused) {
        link("shut", "Token needed");
        told("refused", error.message);
        return;
      }
      link("lost", error.said ?? "Connection lost, trying again");
    }
    await new Promise((done) => {
      const timer = setTimeout(done, wait * (0.75 + Math.random() / 2));
      signal.addEventListener("abort", () => (clearTimeout(timer), done()), { once: true });
    });
    wait = Math.min(LONGEST_WAIT, wait * 2);
  }
}

async function read(path, signal, told) {
  const mine = new AbortController();
  const stop = () => mine.abort();
  signal.addEventListener("abort", stop, { once: true });
  let timer = setTimeout(stop, SILENCE);
  try {
    const answer = await fetch(`api/v1/${path}`, { headers: headers(), cache: "no-store", signal: mine.signal });
    await refusal(answer);
    if (!answer.ok) throw Object.assign(new Error("refused"), { said: `Not served: ${(await answer.text()).trim()}` });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(stop, SILENCE);
      const parts = (text + value).split("\n\n");
      text = parts.pop();
      for (const part of parts) {
        const fields = Object.fromEntries(part.split("\n").map((line) => line.split(/: (.*)/s, 2)));
        if (fields.data) told(fields.event, JSON.parse(fields.data));
      }
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    mine.abort();
  }
}
