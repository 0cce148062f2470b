// The status page. Everything that is shown is set as text: nothing from outside becomes markup.

import { HEALTH, draw, story, told } from "./strip.js";
import { fullDay, learn, span, t, translate, when } from "./words.js";

const SHAPES = { // each health has its own shape as well as its own colour
  fresh: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1.500 14.500L6 12l2-2 2.500 2.500L16 7l2 2z",
  ending: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1.200 4h2.400v5.500l4 2.400-1.200 2-5.200-3.100z",
  retrying: "M12 2 23 21H1zM10.800 9v6h2.400V9zm0 7.500v2.200h2.400v-2.200z",
  expired: "M12 1 23 12 12 23 1 12zM10.800 6.500v7h2.400v-7zm0 8.500v2.300h2.400V15z",
  "sign-in-needed": "M7.500 1.500h9l6 6v9l-6 6h-9l-6-6v-9zM10.700 6v7.500h2.600V6zm0 9.300v2.600h2.600v-2.600z",
  "signed-out": "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm0 3a7 7 0 1 1 0 14 7 7 0 0 1 0-14z",
  "signing-in": "M4 2h16a2 2 0 0 1 2 2v16a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2zm7 5v3.500H6v3h5V17l6-5z",
};
const WORST = ["sign-in-needed", "expired", "retrying", "ending", "fresh", "signed-out"];
const HARMLESS = ["fresh", "ending", "retrying", "expired"];
const $ = (id) => document.getElementById(id);
let state = null;
let presets = [];
let key = null;
let events = null;

// -- asking

/** Closes the page for good: what answers on this port now may be another program, of another user. */
function die() {
  events?.close();
  key = null;
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  for (const form of document.forms) form.reset();
  for (const control of document.querySelectorAll("button, input, select")) control.disabled = true;
  $("accounts").replaceChildren();
  $("checks").replaceChildren();
  $("lines").textContent = "";
  state = null;
  tell($("trouble"), t("Lamplighter does not answer any more. Open this page again from the lamp's menu."));
}

/** Whether the server is still the one that the page was loaded from: it knows the key that was handed over then. */
async function isProved() {
  if (!key) return false;
  const nonce = crypto.randomUUID();
  const answer = await fetch(`proof?${nonce}`);
  const { proof } = answer.ok ? await answer.json() : {};
  const mac = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(nonce));
  return proof === [...new Uint8Array(mac)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function learnKey() {
  const { key: text } = await (await fetch("proof")).json();
  key = await crypto.subtle.importKey("raw", new TextEncoder().encode(text), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
}

async function post(path, body = {}) {
  if (!await isProved().catch(() => false)) {
    die();
    throw new Error($("trouble").textContent);
  }
  const answer = await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const found = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(found.message), found);
  return found;
}

/** Runs what was clicked, once at a time; what goes wrong is told in `where`. */
async function clicked(button, where, act) {
  button.disabled = true;
  tell(where, "");
  try {
    return await act();
  } catch (error) {
    tell(where, error.message);
  } finally {
    button.disabled = false;
  }
}

function tell(where, text) {
  where.textContent = text;
  if (where.id === "trouble") where.hidden = !text;
}

// -- accounts

function show() {
  const { accounts } = state;
  const needing = accounts.filter((account) => account.health === "sign-in-needed");
  const worst = WORST.find((health) => accounts.some((account) => account.health === health)) ?? "signed-out";
  const look = state.signing_in.length ? "signing-in" : worst;
  $("lamp").setAttribute("class", `${look} ${["fresh", "ending", "retrying"].includes(look) ? "lit" : ""}`);
  $("summary").textContent = summary(accounts, needing, worst);
  tell($("trouble"), state.configuration_error ?? "");
  const cards = new Map([...$("accounts").querySelectorAll("article")].map((card) => [card.dataset.name, card]));
  $("accounts").querySelector(".empty")?.remove();
  for (const [name, card] of cards) if (!accounts.some((account) => account.name === name)) card.remove();
  for (const account of accounts) fill(cards.get(account.name) ?? made(account.name), account);
  if (!accounts.length) $("accounts").append(nothing());
}

function summary(accounts, needing, worst) {
  if (!accounts.length) return t("No account yet. The lamp is dark.");
  if (needing.length) return t("Only you can help: {names}", { names: needing.map((account) => account.name).join(", ") });
  if (worst === "signed-out") return t("Nobody is signed in.");
  if (worst === "fresh") return t("All is well. Nobody has to do anything.");
  if (worst === "ending") return t("All is well; a sign-in ends soon.");
  return t("Something is out of reach. Lamplighter keeps trying.");
}

function nothing() {
  const box = document.createElement("div");
  box.className = "card empty";
  const text = box.appendChild(document.createElement("p"));
  text.textContent = t("Add your first account to light the lamp.");
  const button = box.appendChild(document.createElement("button"));
  button.className = "main";
  button.textContent = t("Add Account");
  button.addEventListener("click", openDialog);
  return box;
}

function made(name) {
  const card = $("account").content.cloneNode(true).querySelector("article");
  translate(card);
  card.dataset.name = name;
  card.setAttribute("aria-label", name);
  card.querySelector("h2").textContent = name;
  for (const button of card.querySelectorAll("button")) {
    button.setAttribute("aria-label", `${button.textContent}: ${name}`);
    button.addEventListener("click", () =>
      clicked(button, $("trouble"), () => act(name, button.name)).then(() => state && show()));
  }
  $("accounts").append(card);
  new ResizeObserver(() => draw(card.querySelector(".strip"), entriesOf(name), Date.now())).observe(card);
  return card;
}

async function act(name, what) {
  const path = `accounts/${encodeURIComponent(name)}/${what}`;
  try {
    await post(path);
  } catch (error) {
    if (error.error !== "unconfirmed") throw error;
    confirmHosts(name, path, error.hosts);
  }
}

/** Before the first sign-in of an account that was added here: where it leads, in both steps. */
function confirmHosts(name, path, hosts) {
  $("hosts").textContent = hosts.length > 1
    ? t("You sign in at {one}, and your sign-in is handed to {other}.", { one: hosts[0], other: hosts[1] })
    : t("You sign in at {one}.", { one: hosts[0] ?? name });
  tell($("unsure"), "");
  $("go").onclick = () => clicked($("go"), $("unsure"), async () => {
    try {
      await post(path, { confirmed: hosts.join(" ") });
    } catch (error) {
      if (error.error !== "unconfirmed") throw error;
      return confirmHosts(name, path, error.hosts); // it leads elsewhere than was shown
    }
    $("confirming").close();
  });
  if (!$("confirming").open) $("confirming").showModal();
}

function fill(card, account) {
  const isOpen = state.signing_in.includes(account.name);
  const isWatched = account.provider === "claude-code";
  const look = isOpen ? "signing-in" : account.health;
  card.querySelector(".shape").setAttribute("class", `shape ${look}`);
  const shape = card.querySelector(".shape path");
  shape.setAttribute("d", SHAPES[look]);
  shape.setAttribute("fill-rule", "evenodd");
  card.querySelector(".words").textContent = isOpen ? t("waiting for the browser") : words(account);
  const reason = card.querySelector(".reason");
  reason.hidden = !account.last_error;
  reason.className = `reason ${account.health}`;
  reason.firstElementChild.textContent = account.last_error?.message ?? "";
  const [login, refresh, logout] = card.querySelectorAll(".buttons button");
  login.classList.toggle("main", account.health === "sign-in-needed" || account.health === "signed-out");
  refresh.hidden = logout.hidden = isWatched;
  refresh.disabled = !HARMLESS.includes(account.health);
  logout.disabled = account.health === "signed-out";
  facts(card.querySelector("dl"), account, isWatched);
  draw(card.querySelector(".strip"), entriesOf(account.name), Date.now());
  tellStory(card.querySelector(".story"), account.name);
}

function words(account) {
  if (account.words) return account.words;
  const left = Date.parse(account.expires_at) - Date.now();
  const health = t(HEALTH[account.health]);
  const hasTime = ["fresh", "retrying"].includes(account.health) && left > 0;
  return hasTime ? t("{health}, {time} left", { health, time: span(left) }) : health;
}

function facts(list, account, isWatched) {
  const rows = [
    ["Last refresh", when(account.last_refresh_at)],
    ["Next refresh", when(account.refresh_due_at)],
    [isWatched ? "Its token ends" : "Token ends", when(account.expires_at)],
    ["Sign-in ends", account.sign_in_ends_at && fullDay(new Date(account.sign_in_ends_at))],
    ["Signed in as", account.subject],
    ["Scopes", account.scopes.join(" ")],
  ];
  list.replaceChildren(...rows.filter(([, value]) => value).map(([name, value]) => {
    const row = document.createElement("div");
    row.className = String(value).length > 18 ? "wide" : "";
    row.append(Object.assign(document.createElement("dt"), { textContent: t(name) }));
    row.append(Object.assign(document.createElement("dd"), { textContent: value }));
    return row;
  }));
}

const entriesOf = (name) => state.history.filter((entry) => !entry.account || entry.account === name);

function tellStory(list, name) {
  list.replaceChildren(...story(state.history.filter((entry) => entry.account === name)).map((one) => {
    const { entry, refreshes } = one;
    const line = document.createElement("li");
    const time = line.appendChild(document.createElement("time"));
    time.dateTime = entry.at;
    time.textContent = when(entry.at);
    line.appendChild(document.createElement("i")).className =
      entry.health ?? { "sign-in": "signing-in", refresh: "fresh", "sign-out": "signed-out" }[entry.kind] ?? "sign-in-needed";
    const text = line.appendChild(document.createElement("span"));
    text.textContent = refreshes > 1 ? t("refreshed {count} times", { count: refreshes }) : told(entry);
    return line;
  }));
  const details = list.parentElement; // opened where there is something to explain; then it is the person's to close
  if (!details.dataset.seen && list.querySelector(".sign-in-needed")) details.open = true;
  details.dataset.seen = "yes";
}

// -- adding

async function openDialog() {
  const offer = await (await fetch("offer")).json();
  presets = offer.presets;
  $("claude").hidden = !offer.claude_code;
  $("provider").replaceChildren(...presets.map((preset) => new Option(preset.title, preset.name)));
  choose();
  tell($("wrong"), "");
  $("adding").showModal();
}

function choose() {
  const preset = presets.find((one) => one.name === $("provider").value) ?? presets[0];
  $("registration").href = preset.registration;
  $("redirect").textContent = preset.redirect_uri;
  $("preset-name").value = preset.name;
  $("tenant-field").hidden = !preset.tenant;
  $("tenant").placeholder = preset.tenant;
  $("secret-field").hidden = !preset.needs_client_secret;
  $("preset-secret").required = preset.needs_client_secret;
}

async function add(button, account) {
  await clicked(button, $("wrong"), async () => {
    await post("accounts", account);
    $("adding").close();
  });
}

// -- desktop and log

async function examine() {
  $("examined").textContent = t("Trying each part ...");
  await clicked($("examine"), $("trouble"), async () => {
    const report = await post("doctor");
    $("examined").textContent = report.ok ? t("Nothing failed.") : t("What failed has its remedy below it.");
    $("checks").replaceChildren(...report.checks.map(check));
  });
}

function check(one) {
  const line = document.createElement("li");
  line.className = one.verdict;
  const mark = line.appendChild(document.createElement("span"));
  mark.className = "mark";
  mark.textContent = { ok: "✓", cannot: "✗", skipped: "–" }[one.verdict];
  mark.setAttribute("role", "img");
  mark.setAttribute("aria-label", t({ ok: "works", cannot: "does not work", skipped: "not tried" }[one.verdict]));
  line.appendChild(document.createElement("strong")).textContent = [one.account, one.name].filter(Boolean).join(": ");
  const text = line.appendChild(document.createElement("p"));
  text.textContent = one.says;
  if (one.remedy) text.appendChild(document.createElement("small")).textContent = `→ ${one.remedy}`;
  return line;
}

async function showLog() {
  if (!$("log").open) return;
  const { lines } = await (await fetch("log")).json();
  $("lines").textContent = lines.join("\n");
  $("lines").scrollTop = $("lines").scrollHeight;
}

// -- life

function legend() {
  for (const health of [...WORST].reverse().concat("unknown")) {
    const line = $("legend").appendChild(document.createElement("li"));
    line.appendChild(document.createElement("i")).className = health;
    line.appendChild(document.createElement("span")).textContent = t(HEALTH[health]);
  }
  for (const [sign, colour, text] of [["▼", "sign-in-needed", "a failure"], ["●", "signing-in", "a sign-in"], ["❘", "fresh", "a refresh"]]) {
    const line = $("legend").appendChild(document.createElement("li"));
    const mark = line.appendChild(document.createElement("i"));
    mark.className = `sign ${colour}`;
    mark.textContent = sign;
    mark.ariaHidden = "true";
    line.appendChild(document.createElement("span")).textContent = t(text);
  }
}

function live() {
  events = new EventSource("events");
  events.addEventListener("state", (event) => {
    state = JSON.parse(event.data);
    show();
    showLog();
  });
  events.addEventListener("error", die);
  setInterval(() => state && !document.hidden && show(), 30_000); // the times that are left
}

await Promise.all([learn(), learnKey()]);
translate(document);
legend();
live();
$("add").addEventListener("click", openDialog);
$("provider").addEventListener("change", choose);
$("watch").addEventListener("click", () => add($("watch"), { provider: "claude-code" }));
$("demo").addEventListener("click", () => clicked($("demo"), $("wrong"), () => post("demo")));
$("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText($("redirect").textContent);
  $("copy").textContent = t("Copied");
});
$("address").addEventListener("submit", (event) => {
  event.preventDefault();
  const what = new FormData(event.target).get("what");
  add(event.submitter, { name: $("url-name").value, [what]: $("url").value.trim(), client_id: $("url-client").value.trim() });
});
$("preset").addEventListener("submit", (event) => {
  event.preventDefault();
  add(event.submitter, {
    name: $("preset-name").value, provider: $("provider").value, client_id: $("preset-client").value.trim(),
    tenant: $("tenant-field").hidden ? "" : $("tenant").value.trim(),
    client_secret: $("secret-field").hidden ? "" : $("preset-secret").value,
  });
  $("preset-secret").value = "";
});
$("examine").addEventListener("click", examine);
$("log").addEventListener("toggle", showLog);
if (location.hash === "#add") openDialog();
