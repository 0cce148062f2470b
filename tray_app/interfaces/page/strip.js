// The strip of the last seven days: a band coloured by health, with each refresh, failure and sign-in on it.

import { t, dayAndTime, dayOfMonth, weekday } from "./words.js";

const DAY = 86_400_000;
const BAND = { top: 13, height: 20 };
const SVG = "http://www.w3.org/2000/svg";

/** How long each health lasted: [{from, to, health}], in milliseconds. Before the first entry nothing is known. */
export function spans(entries, from, to) {
  const found = [];
  let health = "unknown";
  let since = from;
  const change = (at, next) => {
    if (at > since) found.push({ from: since, to: Math.min(at, to), health });
    since = Math.max(since, at);
    health = next;
  };
  let last = "unknown";
  for (const entry of entries) {
    const at = Date.parse(entry.at);
    if (entry.kind === "health") change(at, (last = entry.health));
    else if (entry.kind === "stop") change(at, "unknown"); // nobody looked
    else if (entry.kind === "start") change(at, last);
  }
  change(to, health);
  return found;
}

/** Draws the entries of an account, oldest first, into the SVG, as wide as it is now. */
export function draw(svg, entries, now) {
  const width = svg.clientWidth || 900;
  const from = now - 7 * DAY;
  const x = (at) => ((at - from) / (7 * DAY)) * width;
  svg.setAttribute("viewBox", `0 0 ${width} 46`);
  svg.replaceChildren();
  const add = (name, attributes, title) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (title) element.appendChild(document.createElementNS(SVG, "title")).textContent = title;
    svg.append(element);
    return element;
  };
  for (const one of spans(entries, from, now)) {
    const title = `${t(HEALTH[one.health])}: ${dayAndTime(one.from)} – ${dayAndTime(one.to)}`;
    const box = { x: x(one.from), y: BAND.top, width: Math.max(1.5, x(one.to) - x(one.from)), height: BAND.height };
    add("rect", { class: one.health, ...box }, title);
  }
  const recent = entries.filter((entry) => Date.parse(entry.at) >= from);
  for (const entry of recent) {
    const at = x(Date.parse(entry.at));
    const title = `${dayAndTime(Date.parse(entry.at))}: ${told(entry)}`;
    if (entry.kind === "refresh")
      add("rect", { class: "refresh", x: at, y: BAND.top + 11, width: 1.2, height: BAND.height - 11 }, title);
    if (entry.kind === "failure" || entry.kind === "sign-in-failed")
      add("path", { class: "failure", d: `M${at - 4} 2h8l-4 8z` }, title);
    if (entry.kind === "sign-in") add("circle", { class: "sign-in", cx: at, cy: 6, r: 4 }, title);
  }
  const midnight = new Date(from);
  for (midnight.setHours(24, 0, 0, 0); midnight.getTime() < now; midnight.setDate(midnight.getDate() + 1)) {
    const at = x(midnight.getTime());
    add("rect", { class: "day", x: at - 1, y: BAND.top, width: 2, height: BAND.height });
    if (width - at > 40) {
      const label = width > 560 ? `${weekday(midnight)} ${dayOfMonth(midnight)}` : weekday(midnight);
      add("text", { x: at + 3, y: 45 }).textContent = label;
    }
  }
  svg.setAttribute("aria-label", inWords(recent));
}

export const HEALTH = {
  fresh: "fresh",
  ending: "sign-in ends soon",
  retrying: "retrying",
  expired: "expired, retrying",
  "sign-in-needed": "sign-in needed",
  "signed-out": "signed out",
  unknown: "Lamplighter did not run",
};

const TOLD = {
  refresh: "refreshed",
  "sign-in": "signed in",
  "sign-out": "signed out",
  start: "Lamplighter was started",
  stop: "Lamplighter was ended",
};

/** What an entry tells, in one line. */
export function told(entry) {
  if (entry.kind === "health" && !entry.because) return t(HEALTH[entry.health] ?? entry.health);
  if (entry.because) return `${t(HEALTH[entry.health] ?? entry.health)}: ${entry.because}`;
  return entry.message || t(TOLD[entry.kind] ?? entry.kind);
}

function inWords(entries) {
  const count = (...kinds) => entries.filter((entry) => kinds.includes(entry.kind)).length;
  const worst = entries.filter((entry) => entry.health === "sign-in-needed").at(-1);
  const sentences = [
    t("The last seven days: {refreshes} refreshes, {failures} failures, {signIns} sign-ins.", {
      refreshes: count("refresh"), failures: count("failure", "sign-in-failed"), signIns: count("sign-in"),
    }),
  ];
  if (worst) sentences.push(`${t("sign-in needed")}: ${dayAndTime(Date.parse(worst.at))}.`);
  return sentences.join(" ");
}

/**
 * The last lines of the story, newest first: [{entry, refreshes}]. Refreshes in a row are one line, and so are a failure
 * and the health that came of it.
 */
export function story(entries, most = 14) {
  const lines = [];
  for (const entry of entries) {
    const last = lines.at(-1);
    const follows = last && Date.parse(entry.at) - Date.parse(last.entry.at) < 3000;
    if (entry.kind === "refresh" && last?.refreshes) lines[lines.length - 1] = { entry, refreshes: last.refreshes + 1 };
    else if (entry.kind === "health" && follows && last.entry.kind === "failure")
      last.entry = { ...entry, because: last.entry.message };
    else if (entry.kind === "health" && follows) continue; // "signed in" says it
    else lines.push({ entry, refreshes: entry.kind === "refresh" ? 1 : 0 });
  }
  return lines.slice(-most).reverse();
}
