// Sends the form that finishes a sign-in. Without JavaScript, the person presses its button.

"use strict";

document.querySelector("[data-finish]").submit();
