// The person's language: texts come from the server, times from the browser.

let words = {};

export async function learn() {
  const answer = await (await fetch("words")).json();
  words = answer.words;
  document.documentElement.lang = answer.language.replace("_", "-");
}

/** The text in the person's language, with its places filled: t("Only you can help: {names}", {names}). */
export function t(text, places = {}) {
  return (words[text] ?? text).replace(/\{(\w+)\}/g, (place, name) => places[name] ?? place);
}

export function translate(root) {
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.textContent);
  for (const element of root.querySelectorAll("[data-t-label]"))
    element.setAttribute("aria-label", t(element.getAttribute("aria-label")));
}

/** Times as the person's browser writes them, where it speaks the page's language. */
function locale() {
  const { lang } = document.documentElement;
  return navigator.languages.find((one) => one.split("-")[0] === lang.split("-")[0]) ?? lang;
}

const format = (options) => (moment) => new Intl.DateTimeFormat(locale(), options).format(moment);
export const weekday = (moment) => format({ weekday: "short" })(moment);
export const dayOfMonth = (moment) => format({ day: "numeric" })(moment);
export const dayAndTime = (moment) =>
  format({ weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" })(moment);
export const fullDay = (moment) => format({ dateStyle: "medium" })(moment);

/** A moment as a person says it: the time where it is today, else with its day. */
export function when(text) {
  if (!text) return null;
  const moment = new Date(text);
  const isToday = moment.toDateString() === new Date().toDateString();
  return isToday ? format({ hour: "2-digit", minute: "2-digit" })(moment) : dayAndTime(moment);
}

export function span(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return t("{count} s", { count: seconds });
  if (seconds < 3600) return t("{count} min", { count: Math.floor(seconds / 60) });
  if (seconds < 48 * 3600) return t("{count} h", { count: Math.floor(seconds / 3600) });
  return t("{count} days", { count: Math.floor(seconds / 86400) });
}
