// Times, durations and numbers, as people read them.

const DAY = 86400;
let offset = 0;

/** What the operator's clock says, seconds since the epoch. */
export const now = () => Date.now() / 1000 + offset;

/** Go by the operator's clock from here on. */
export function setClock(seconds) {
  offset = seconds - Date.now() / 1000;
}

/** The two largest units, such as 2d 3h. */
export function duration(seconds) {
  let rest = Math.max(0, Math.round(seconds));
  const parts = [];
  for (const [unit, size] of [["d", DAY], ["h", 3600], ["m", 60], ["s", 1]]) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count) parts.push(`${count}${unit}`);
    else if (parts.length) break;
  }
  return parts.slice(0, 2).join(" ") || "0s";
}

/** A count of time that runs, to the second within an hour. */
export function countdown(seconds) {
  const rest = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  if (rest >= DAY) return `${Math.floor(rest / DAY)}d ${Math.floor((rest % DAY) / 3600)}h`;
  if (rest >= 3600) return `${Math.floor(rest / 3600)}h ${two(Math.floor((rest % 3600) / 60))}m`;
  return `${Math.floor(rest / 60)}:${two(rest % 60)}`;
}

const DATE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const SECONDS = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

const date = (seconds) => new Date(seconds * 1000);

/** Date and time; the time alone, to the second, of today. */
export function moment(seconds) {
  const same = date(seconds).toDateString() === date(now()).toDateString();
  return same ? SECONDS.format(date(seconds)) : `${DATE.format(date(seconds))}, ${TIME.format(date(seconds))}`;
}

/** For an axis that spans so many seconds. */
export const tick = (seconds, span) =>
  span > 6 * DAY ? DATE.format(date(seconds)) : span > DAY ? `${DATE.format(date(seconds))} ${TIME.format(date(seconds))}` : TIME.format(date(seconds));

/** Everything, for a tooltip. */
export const exactly = (seconds) => `${FULL.format(date(seconds))} (${date(seconds).toISOString().replace(".000Z", "Z")})`;

/** How far from now, such as in 3h or 2d ago. */
export function distance(seconds) {
  const away = seconds - now();
  if (Math.abs(away) < 1) return "now";
  return away > 0 ? `in ${duration(away)}` : `${duration(-away)} ago`;
}

/** A number with four figures. */
export function number(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toPrecision(3);
  return String(Number(value.toPrecision(4)));
}

const SIGNS = { percent: "%", seconds: "s", bytes: "B", milliseconds: "ms" };

/** A unit, short. */
export const unit = (name) => SIGNS[name] ?? name;

/** SmallWords as small words. */
export const spaced = (word) => word.replace(/([a-z])([A-Z])/g, "$1 $2");

export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
