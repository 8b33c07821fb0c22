// Shows in the preview what is typed into the form of the branding. The form works without JavaScript.

"use strict";

const form = document.querySelector("[data-branding]");
const field = (name) => form.elements[name].value.trim();
const COLOR = /^#[0-9a-f]{6}$/i;
const GROUNDS = { light: ["#ffffff", "#f3f4f7"], dark: ["#191d24", "#101318"] };
const MIN_CONTRAST = 3;

// WCAG 2.2: relative luminance and contrast ratio.
function luminance(color) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const value = parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one, other) {
  const [darker, lighter] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

function showAccent(theme, color) {
  const preview = document.querySelector(`[data-preview=${theme}]`);
  const note = preview.querySelector("[data-contrast]");
  if (!COLOR.test(color)) {
    preview.style.removeProperty("--accent");
    preview.style.removeProperty("--on-accent");
    note.textContent = "";
    return;
  }
  const text = contrast(color, "#ffffff") >= contrast(color, "#000000") ? "#ffffff" : "#000000";
  preview.style.setProperty("--accent", color);
  preview.style.setProperty("--on-accent", text);
  const ratio = Math.min(...GROUNDS[theme].map((ground) => contrast(color, ground)));
  const shown = (Math.floor(ratio * 100) / 100).toFixed(2);
  note.textContent = `Contrast with the page ${shown} : 1${ratio < MIN_CONTRAST ? ", and 3 : 1 is needed" : ""}.`;
}

function show() {
  const name = field("name");
  for (const place of document.querySelectorAll("[data-shown=name]"))
    place.textContent = name || (place.parentElement.querySelector("img") ? "" : "Doorcode");
  for (const place of document.querySelectorAll("[data-shown=supportEmail]")) place.textContent = field("supportEmail");
  for (const line of document.querySelectorAll("[data-support]")) line.hidden = !field("supportEmail");
  showAccent("light", field("accentColor"));
  showAccent("dark", field("accentColorDark") || field("accentColor"));
}

form.addEventListener("input", show);
show();
