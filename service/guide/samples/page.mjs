// page.mjs
import { ask, signIn } from "./sign-in.mjs";

const getCode = async () => {
  const response = await fetch("/api/doorcode-code", { method: "POST" });
  if (!response.ok) throw new Error(`No code: status ${response.status}`);
  return response.text();
};

const { grant, screen } = await signIn(getCode);
if (grant) {
  const { viewer } = await ask("{ viewer { id email } }", {}, grant.token);
  console.log(`Hello, ${viewer.email}`);
} else {
  console.log(screen.message, screen.reference);
}
