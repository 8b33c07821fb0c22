// Counts down the seconds until another code may be requested. The page works without JavaScript.

"use strict";

const wait = document.querySelector("[data-wait]");
if (wait) {
  const again = document.querySelector("[data-again]");
  const seconds = wait.querySelector("[data-seconds]");
  const end = performance.now() + Number(wait.dataset.wait) * 1000;
  again.disabled = true;
  const timer = setInterval(() => {
    const left = Math.ceil((end - performance.now()) / 1000);
    seconds.textContent = Math.max(left, 0);
    if (left > 0) return;
    clearInterval(timer);
    wait.hidden = true;
    again.disabled = false;
  }, 250);
}
