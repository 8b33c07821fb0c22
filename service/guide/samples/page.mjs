// page.mjs
import { ask, signIn } from "./sign-in.mjs";

const getCode = async () => (await fetch("/api/doorcode-code", { method: "POST" })).text();

const { grant, screen } = await signIn(getCode);
if (grant) {
  const { viewer } = await ask("{ viewer { id email } }", {}, grant.token);
  console.log(`Hello, ${viewer.email}`);
} else {
  console.log(screen.message, screen.reference);
}
