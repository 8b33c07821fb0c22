// Adds to the panel's pages: local times, copy buttons, `/` to search, Esc to close. Every page works without JavaScript.

"use strict";

const localTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const localSecond = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const localDay = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.dateTime);
  if (Number.isNaN(moment.getTime())) continue;
  time.title = time.textContent; // the time in UTC is shown as a tooltip
  const exact = "seconds" in time.dataset ? localSecond : localTime;
  time.textContent = "hour" in time.dataset ? ago(moment) : exact.format(moment);
}

// What is kept to the hour is shown to the hour, and to the day after a day.
function ago(moment) {
  const hours = Math.floor((Date.now() - moment) / 3600000);
  if (hours < 1) return "within the hour";
  if (hours < 24) return `${hours} ${hours === 1 ? "hour" : "hours"} ago`;
  return localDay.format(moment);
}

// On a narrow screen the links of the bar scroll sideways: show the one of this page.
document.querySelector(".bar nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// A second press of a button sends nothing while the first is under way.
for (const form of document.querySelectorAll("form[method=post]"))
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));

// Days in forms are those of this time zone. Without this script, they are in UTC.
const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
for (const zone of document.querySelectorAll("[data-zone]")) zone.textContent = timeZone;
for (const date of document.querySelectorAll("input[type=date]")) {
  if (date.form.elements.zone) continue;
  const zone = Object.assign(document.createElement("input"), { type: "hidden", name: "zone", value: timeZone });
  date.form.append(zone);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = button.parentElement.querySelector("[data-copy-source]");
    try {
      await navigator.clipboard.writeText(source.value ?? source.textContent);
      button.textContent = "Copied";
    } catch {
      if (source.select) source.select();
      button.textContent = "Press Ctrl+C";
    }
  });
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  const search = document.querySelector("[data-search]");
  if (event.key === "/" && !typing && search && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    search.focus();
  } else if (event.key === "Escape") {
    const cancel = document.querySelector("[data-cancel]");
    const inside = document.activeElement.closest("details[open]");
    if (cancel && !inside) {
      cancel.click();
      return;
    }
    const open = inside ?? [...document.querySelectorAll("details[open]")].pop();
    if (!open) return;
    open.open = false;
    open.querySelector("summary").focus();
  }
});
