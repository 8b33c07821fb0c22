// Adds a button that copies the reference, and counts down the time until the next try. The page works without JavaScript.

"use strict";

const button = document.querySelector("[data-copy]");
if (navigator.clipboard) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(document.querySelector("[data-copied]").textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(document.querySelector("[data-copied]"));
      button.textContent = "Press Ctrl+C";
    }
  });
}

const wait = document.querySelector("[data-wait]");
if (wait) {
  const left = wait.querySelector("[data-left]");
  const end = performance.now() + Number(wait.dataset.wait) * 1000;
  const timer = setInterval(() => {
    const seconds = Math.ceil((end - performance.now()) / 1000);
    if (seconds > 120) return;
    left.textContent = `${Math.max(seconds, 0)} ${seconds === 1 ? "second" : "seconds"}`;
    if (seconds > 0) return;
    clearInterval(timer);
    wait.textContent = "You can try again now.";
  }, 250);
}
