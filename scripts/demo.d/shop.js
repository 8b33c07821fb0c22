// The shop's own script: the basket, what Doorcode's widget says, and the scenes.

"use strict";

const { doorcode: DOORCODE, customer: CUSTOMER, code: CODE } = document.body.dataset;
const element = (id) => document.getElementById(id);
const show = (id, text) => (element(id).textContent = text);
const click = (id, action) => element(id).addEventListener("click", action);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const claimsOf = (token) => new TextDecoder().decode(Uint8Array.from(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0)));
const pretty = (json) => JSON.stringify(JSON.parse(json), null, 2);

function log(text, kind = "", detail = "") {
  const line = document.createElement("li");
  line.dataset.kind = kind;
  line.append(text);
  if (detail) line.append(Object.assign(document.createElement("small"), { textContent: detail }));
  element("widget-log").append(line);
  element("widget-log").scrollTop = element("widget-log").scrollHeight;
}

function showState(state, text) {
  document.querySelector("[data-state]").dataset.state = state;
  show("widget-state", text);
}

for (const link of document.querySelectorAll("#customers a"))
  if (link.getAttribute("href") === (CUSTOMER ? `/?as=${CUSTOMER}` : "/")) link.setAttribute("aria-current", "page");
for (const button of document.querySelectorAll("#scenes button")) button.disabled = !CUSTOMER;
if (!CUSTOMER) show("scene", "Choose Ana or Ben above to try these.");
if (CODE) show("decoded", pretty(claimsOf(CODE)));

let total = 0;
for (const button of document.querySelectorAll("[data-price]"))
  button.addEventListener("click", () => {
    total += Number(button.dataset.price);
    show("basket-count", Number(element("basket-count").textContent) + 1);
    show("basket-total", `€${total}`);
  });

// The widget. This script may run before it has loaded, so what is asked of it waits in a queue.
let session = null;
(window.Doorcode = window.Doorcode || []).push((doorcode) => {
  doorcode.on("ready", (now) => {
    session = now;
    const { user, newUser } = now;
    showState("in", `Signed in as ${user.metadata.name} (${user.email}).`);
    log(`${user.metadata.name} is signed in.`, "good", newUser ? "Doorcode has made a new user." : "Doorcode knows this user.");
    show("greeting", `Welcome, ${user.metadata.name}`);
    show("offer", user.metadata.plan === "gold" ? "As a gold member you get free delivery today." : "Have a look at what is new this week.");
  });
  doorcode.on("error", ({ code, message, reference }) => log(message, "bad", `${code}, reference ${reference}`));
  doorcode.on("expired", () => { session = null; showState("ended", "The session has expired."); });
  doorcode.on("signout", () => { session = null; showState("out", "No user is signed in."); log("Signed out."); });
  if (CUSTOMER) doorcode.onCodeNeeded(freshCode);

  click("access-token", async () => {
    const token = await doorcode.getAccessToken();
    if (token) log("A token for other services, which verify it without asking Doorcode. It says:", "", claimsOf(token));
    else log("There is no access token: no user is signed in.");
  });
  click("widget-sign-out", async () => log(`The server has ended the session: ${(await doorcode.signOut()) ? "yes" : "there was none"}.`));
  for (const button of document.querySelectorAll("[data-scene]")) button.addEventListener("click", () => play(doorcode, button.dataset.scene));
});

async function freshCode() {
  const response = await fetch(`/code?as=${CUSTOMER}`);
  if (!response.ok) throw new Error(`No code: status ${response.status}`);
  return response.text();
}

// A scene: the shop's server does what an admin would do, and this page tries the code that it answers with.
async function play(doorcode, scene) {
  const buttons = document.querySelectorAll("#scenes button");
  buttons.forEach((button) => (button.disabled = true));
  element("refusal-page").hidden = true;
  try {
    const response = await fetch(`/scenes/${scene}?as=${CUSTOMER}`, { method: "POST" });
    if (!response.ok) throw new Error(`The scene failed: status ${response.status}`);
    const { told, code, then } = await response.json();
    show("scene", told);
    await look();
    const signedIn = await doorcode.authenticate(code).then(() => true, () => false);
    if (!signedIn) {
      element("refusal-page").href = `${DOORCODE}/?externalAuthCode=${code}&returnTo=${encodeURIComponent(`/?as=${CUSTOMER}`)}`;
      element("refusal-page").hidden = false;
    }
    if (then) {
      log(then);
      await pause(1500);
      await doorcode.authenticate(await freshCode());
    }
  } catch (error) {
    log(error.message, "bad");
  } finally {
    buttons.forEach((button) => (button.disabled = false));
  }
}

async function ask(query, how) {
  const headers = { "Content-Type": "application/json", ...how.headers };
  const response = await fetch(`${DOORCODE}/graphql`, { method: "POST", ...how, headers, body: JSON.stringify({ query }) });
  return (await response.json()).data;
}

// Asks Doorcode whether the session still lives, to show the moment at which an admin ends it.
async function look() {
  if (!session) return;
  const { token } = session;
  const { currentSession } = await ask("{ currentSession { id } }", { headers: { Authorization: `Bearer ${token}` } });
  if (currentSession || session?.token !== token) return;
  session = null;
  showState("ended", "The session was ended.");
  log("Doorcode has ended the session. It works nowhere any more.", "bad");
}
setInterval(() => document.hidden || look().catch(() => {}), 3000);

// The link. Its session is a cookie that no script can read, so this page asks Doorcode who is signed in.
if (CUSTOMER) element("link").href = `${DOORCODE}/?externalAuthCode=${CODE}&returnTo=${encodeURIComponent(`/?as=${CUSTOMER}`)}`;
ask("{ currentSession { user { email metadata } } }", { credentials: "include" }).then(({ currentSession }) => {
  const user = currentSession?.user;
  show("link-state", user ? `Signed in as ${user.metadata.name} (${user.email}).` : "No user is signed in.");
});
